"""Layers on which the frameworks differ, written for JAX.

Flax's built-ins are used wherever they are equal and fast. The others differ (batch
norm's variance, LeakyReLU's gradient at 0) or are slow: the backward passes of some XLA
operators take many times as long on a CPU. Ours replace them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from ..spec.pooling import window_averages

BN_EPS, BN_MOMENTUM = 1e-5, 0.9  # Flax's momentum multiplies the old value
LN_EPS = 1e-5


def activation(kind: str) -> Callable[[Array], Array]:
    """Return the activation; `prelu` is a module with one learned slope."""
    if kind == "prelu":
        return PReLU()
    return {
        "relu": jax.nn.relu,
        # At exactly 0, jax.nn.leaky_relu has slope 1, the others .01.
        "leaky_relu": lambda x: jnp.where(x > 0, x, 0.01 * x),
        "elu": lambda x: jax.nn.elu(x, alpha=1.0),
        "selu": jax.nn.selu,
        "gelu": lambda x: jax.nn.gelu(x, approximate=False),
        "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
        "silu": jax.nn.silu,
        "sigmoid": jax.nn.sigmoid,
        "tanh": jnp.tanh,
        "softplus": jax.nn.softplus,
        "softmax": lambda x: jax.nn.softmax(x, axis=-1),
        "identity": lambda x: x,
    }[kind]


class PReLU(nnx.Module):
    """One learned slope for negative inputs, as torch.nn.PReLU(1)."""

    def __init__(self) -> None:
        self.weight = nnx.Param(jnp.full((1,), 0.25, jnp.float32))

    def __call__(self, x: Array) -> Array:
        return jnp.where(x > 0, x, self.weight[...].astype(x.dtype) * x)


class BatchNorm(nnx.BatchNorm):
    """Batch norm whose running variance is unbiased, n/(n-1), as PyTorch's is."""

    def __init__(self, channels: int, eps: float = BN_EPS, *, rngs: nnx.Rngs) -> None:
        super().__init__(
            channels,
            momentum=BN_MOMENTUM,
            epsilon=eps,
            use_fast_variance=False,
            rngs=rngs,
        )

    def __call__(self, x: Array) -> Array:
        if self.use_running_average:
            mean, var = self.mean.get_value(), self.var.get_value()
        else:
            axes = tuple(range(x.ndim - 1))
            wide = jnp.promote_types(x.dtype, jnp.float32)  # for float16, bfloat16
            mean = x.mean(axes, dtype=wide)
            var = jnp.square(x.astype(wide) - mean).mean(axes)
            n = x.size // x.shape[-1]
            self._move(self.mean, mean)
            self._move(self.var, var * (n / max(n - 1, 1)))
        assert self.scale is not None
        assert self.bias is not None
        scale = jax.lax.rsqrt(var + self.epsilon) * self.scale.get_value()
        return ((x - mean) * scale + self.bias.get_value()).astype(x.dtype)

    def _move(self, running: nnx.Variable, new: Array) -> None:
        new = jax.lax.stop_gradient(new).astype(running.dtype)
        old = running[...]
        running[...] = self.momentum * old + (1 - self.momentum) * new


def image_norm(
    kind: str,
    channels: int,
    groups: int = 8,
    bn_eps: float = BN_EPS,
    *,
    rngs: nnx.Rngs,
) -> Callable[[Array], Array]:
    """Return a norm for (N, H, W, C); "layer" is a group norm with one group."""
    if kind == "batch":
        return BatchNorm(channels, bn_eps, rngs=rngs)
    if kind in ("group", "layer"):
        count = groups if kind == "group" else 1
        return _group_norm(channels, count, rngs)
    return activation("identity")


def vector_norm(
    kind: str, features: int, groups: int = 8, *, rngs: nnx.Rngs
) -> Callable[[Array], Array]:
    """Return a norm for (N, C); layer and RMS norm also take (N, T, C)."""
    if kind == "batch":
        return BatchNorm(features, rngs=rngs)
    if kind == "group":
        return _group_norm(features, groups, rngs)
    if kind == "layer":
        return layer_norm(features, rngs=rngs)
    if kind == "rms":
        return nnx.RMSNorm(features, epsilon=LN_EPS, rngs=rngs)
    return activation("identity")


def _group_norm(channels: int, groups: int, rngs: nnx.Rngs) -> nnx.GroupNorm:
    return nnx.GroupNorm(
        channels,
        num_groups=groups,
        epsilon=LN_EPS,
        use_fast_variance=False,
        rngs=rngs,
    )


class LayerNorm(nnx.LayerNorm):
    """Layer norm with the two-pass variance, which loses no digits.

    Flax has it too (`use_fast_variance=False`), but centres the input twice. That costs
    a transformer 15 % of a training step on a CPU.
    """

    def __call__(self, x: Array) -> Array:
        assert self.scale is not None
        assert self.bias is not None
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        d = wide - wide.mean(-1, keepdims=True)
        var = jnp.square(d).mean(-1, keepdims=True)
        scale = jax.lax.rsqrt(var + self.epsilon) * self.scale.get_value()
        return (d * scale + self.bias.get_value()).astype(x.dtype)


def layer_norm(features: int, eps: float = LN_EPS, *, rngs: nnx.Rngs) -> LayerNorm:
    """Return a layer norm over the last axis."""
    return LayerNorm(features, epsilon=eps, rngs=rngs)


class ConvTranspose(nnx.Module):
    """Transposed convolution whose kernel equals its stride, as one matmul.

    Outputs do not overlap: each input pixel makes its own k x k square. XLA's general
    transposed convolution is 30 times as slow to train on a CPU. The weight has
    PyTorch's layout (in, out, k, k).
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, *, rngs: nnx.Rngs) -> None:
        init = nnx.initializers.lecun_normal(in_axis=0, out_axis=1)
        shape = (c_in, c_out, kernel, kernel)
        self.weight = nnx.Param(init(rngs.params(), shape, jnp.float32))
        self.bias = nnx.Param(jnp.zeros((c_out,), jnp.float32))

    def __call__(self, x: Array) -> Array:
        n, h, w, _ = x.shape
        weight = self.weight[...].astype(x.dtype)
        _, c_out, k, _ = weight.shape
        y = jnp.einsum("nhwi,iokl->nhkwlo", x, weight)  # (N, H, k, W, k, C)
        y = y.reshape(n, h * k, w * k, c_out)  # (N, H*k, W*k, C)
        return y + self.bias[...].astype(x.dtype)


class PatchConv(nnx.Module):
    """Convolution whose kernel equals its stride, as one matmul.

    No two outputs share an input. XLA's strided convolution takes twice as long to
    train on a CPU. The weight has PyTorch's layout (out, in, k, k).
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, *, rngs: nnx.Rngs) -> None:
        init = nnx.initializers.lecun_normal(in_axis=1, out_axis=0)
        shape = (c_out, c_in, kernel, kernel)
        self.weight = nnx.Param(init(rngs.params(), shape, jnp.float32))
        self.bias = nnx.Param(jnp.zeros((c_out,), jnp.float32))

    def __call__(self, x: Array) -> Array:
        n, h, w, c_in = x.shape
        weight = self.weight[...].astype(x.dtype)
        k = weight.shape[2]
        x = x.reshape(n, h // k, k, w // k, k, c_in)  # (N, H/k, k, W/k, k, C)
        y = jnp.einsum("nhkwli,oikl->nhwo", x, weight)  # (N, H/k, W/k, C_out)
        return y + self.bias[...].astype(x.dtype)


def max_pool(
    x: Array, kernel: int, stride: int, padding: int = 0, ceil: bool = False
) -> Array:
    """Max-pool (N, H, W, C), padded with -inf; of equals the first, as in PyTorch.

    Separable: along W, then along H, over strided slices. Its gradient is a few
    selects; XLA's select-and-scatter costs 5 to 20 times as much on a CPU.
    """
    # In ceil mode the last window must start inside the image or its left padding.
    after = min(padding + stride - 1, kernel - 1) if ceil else padding
    for axis in (2, 1):
        if after:
            pads = [(0, 0)] * 4
            pads[axis] = (padding, after)
            x = jnp.pad(x, pads, constant_values=-jnp.inf)
        x = reduce(_larger, _windows(x, kernel, stride, axis))
    return x


def avg_pool(x: Array, kernel: int, stride: int) -> Array:
    """Average-pool (N, H, W, C) without padding."""
    for axis in (2, 1):
        x = reduce(jnp.add, _windows(x, kernel, stride, axis)) / kernel
    return x


def _windows(x: Array, kernel: int, stride: int, axis: int) -> list[Array]:
    """Return the first pixel of every window along an axis, the second, and so on."""
    last = (x.shape[axis] - kernel) // stride * stride + 1
    cut = jax.lax.slice_in_dim
    return [cut(x, i, i + last, stride, axis) for i in range(kernel)]


def _larger(a: Array, b: Array) -> Array:
    # a >= b keeps the first of equals; a != a keeps a NaN.
    return jnp.where((a >= b) | (a != a), a, b)


def adaptive_avg_pool(x: Array, size: int) -> Array:
    """Average (N, H, W, C) to (N, size, size, C), over PyTorch's windows.

    By two matrix products, as the windows overlap unless `size` divides H and W.
    """
    _, h, w, _ = x.shape
    if (h, w) == (size, size):
        return x
    rows = jnp.asarray(window_averages(h, size), x.dtype)
    columns = jnp.asarray(window_averages(w, size), x.dtype)
    return jnp.einsum("ih,jw,nhwc->nijc", rows, columns, x)


class _Recurrent(nnx.Module):
    """Stacked, optionally bidirectional recurrence over weights in PyTorch's layout.

    One matmul projects the inputs of all steps before the scan.
    """

    gates: int
    hidden_bias = False
    cell: Callable[..., tuple[Array, ...]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        between = dropout if num_layers > 1 else 0.0
        self.dropout = nnx.Dropout(between, rngs=rngs)
        width, wide = input_size, self.gates * hidden_size
        real = jnp.float32  # also when JAX runs in 64 bits
        ih = nnx.initializers.lecun_normal(in_axis=1, out_axis=0)
        hh = nnx.initializers.orthogonal(column_axis=0)
        for layer in range(num_layers):
            for name in self._names(layer):
                key = rngs.params
                self._param("weight_ih", name, ih(key(), (wide, width), real))
                self._param("weight_hh", name, hh(key(), (wide, hidden_size), real))
                self._param("bias_ih", name, jnp.zeros((wide,), real))
                if self.hidden_bias:
                    self._param("bias_hh", name, jnp.zeros((wide,), real))
            width = hidden_size * (2 if bidirectional else 1)

    def _names(self, layer: int) -> tuple[str, ...]:
        names = (f"l{layer}", f"l{layer}_reverse")
        return names if self.bidirectional else names[:1]

    def _param(self, kind: str, name: str, value: Array) -> None:
        setattr(self, f"{kind}_{name}", nnx.Param(value))

    def __call__(self, x: Array, lengths: Array | None = None) -> tuple[Array, Array]:
        """Map (N, T, C) to outputs (N, T, D*H), zero past the end, and last states.

        The last states (N, D*H) are those after each direction's last real step.
        """
        keep = None
        if lengths is not None:
            steps = jnp.arange(x.shape[1])[:, None, None]  # (T, 1, 1)
            keep = steps < lengths[:, None]  # (T, N, 1)
        x = jnp.swapaxes(x, 0, 1)  # (T, N, C), as scan runs over the first axis
        runs: list[tuple[Array, Array]] = []
        for layer in range(self.num_layers):
            x = self.dropout(x) if layer else x
            runs = [self._run(x, keep, name) for name in self._names(layer)]
            x = jnp.concatenate([out for out, _ in runs], -1)  # (T, N, D*H)
        last = jnp.concatenate([h for _, h in runs], -1)  # (N, D*H)
        return jnp.swapaxes(x, 0, 1), last  # (N, T, D*H), (N, D*H)

    def _run(self, x: Array, keep: Array | None, name: str) -> tuple[Array, Array]:
        def weight(kind: str) -> Array:
            return getattr(self, f"{kind}_{name}")[...].astype(x.dtype)

        z = x @ weight("weight_ih").T  # (T, N, gates*H)
        w_hh, b_ih = weight("weight_hh").T, weight("bias_ih")
        b_hh = weight("bias_hh") if self.hidden_bias else None

        def step(state, inputs):
            z, keep = inputs  # (N, gates*H), (N, 1)
            hidden = state[0] @ w_hh  # (N, gates*H)
            hidden = hidden if b_hh is None else hidden + b_hh
            # b_ih is added inside the scan, where XLA fuses it.
            new = self.cell(z + b_ih, hidden, state)
            if keep is None:
                return new, new[0]
            kept = tuple(jnp.where(keep, a, b) for a, b in zip(new, state))
            return kept, jnp.where(keep, new[0], 0)

        zeros = jnp.zeros((x.shape[1], self.hidden_size), x.dtype)  # (N, H)
        start = (zeros,) * (2 if isinstance(self, LSTM) else 1)
        # In reverse, padding comes first and leaves the zero state unchanged.
        reverse = name.endswith("_reverse")
        state, out = jax.lax.scan(step, start, (z, keep), reverse=reverse)
        return out, state[0]  # (T, N, H), (N, H)


class RNN(_Recurrent):
    """Elman RNN with tanh and one bias."""

    gates = 1

    def cell(self, z: Array, hidden: Array, state: tuple) -> tuple[Array, ...]:
        return (jnp.tanh(z + hidden),)


class LSTM(_Recurrent):
    """LSTM (gates i, f, g, o) with one bias per gate."""

    gates = 4

    def cell(self, z: Array, hidden: Array, state: tuple) -> tuple[Array, ...]:
        z = z + hidden
        i, f, _, o = jnp.split(jax.nn.sigmoid(z), 4, -1)  # one pass over all gates
        g = jnp.tanh(jnp.split(z, 4, -1)[2])
        c = f * state[1] + i * g
        return o * jnp.tanh(c), c


class GRU(_Recurrent):
    """GRU (gates r, z, n), the reset gate after the matmul: both biases matter."""

    gates = 3
    hidden_bias = True

    def cell(self, z: Array, hidden: Array, state: tuple) -> tuple[Array, ...]:
        (xr, xz, xn), (hr, hz, hn) = jnp.split(z, 3, -1), jnp.split(hidden, 3, -1)
        r, u = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        n = jnp.tanh(xn + r * hn)
        return ((1 - u) * n + u * state[0],)
