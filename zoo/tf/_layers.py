"""Layers on which the frameworks differ, written for Keras.

Only `keras.layers` and `keras.ops`, so that the models also run on Keras's JAX and
torch engines. Some of Keras's own functions round Python floats to float32. Where that
is visible in float64, an exact form replaces them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers, ops

from ..configs._base import Config, config_class
from ..spec.pooling import window_averages

BN_EPS, BN_MOMENTUM = 1e-5, 0.9  # Keras's momentum multiplies the old value
LN_EPS = 1e-5


@contextmanager
def dtype_scope(policy: str | keras.DTypePolicy) -> Iterator[None]:
    """Build layers under this policy, and constants in its dtype, inside the block."""
    new: Any = keras.dtype_policies.get(policy)
    old = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_dtype_policy(new)
    keras.config.set_floatx(new.variable_dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(old[0])
        keras.config.set_floatx(old[1])


class Model(keras.Model):
    """Base of all Keras models in the zoo.

    It registers subclasses for `.keras` files, keeps config and dtype policy in
    `get_config`, and creates every variable through symbolic inputs. Without the last,
    `load_weights` into a subclassed model silently loads nothing.
    """

    config: Any  # the subclass's own Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        package = cls.__module__.replace(".", "_")
        keras.saving.register_keras_serializable(package)(cls)

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        with dtype_scope(self.dtype_policy):
            # Traces `call` as one function. Layer by layer, Keras would take 0.5 * x
            # for sparse, and refuse it as the next block's input.
            self.compute_output_spec(*symbolic_inputs(self.config, self.dtype_policy))
        self.built = True

    def get_config(self) -> dict[str, Any]:
        policy = self.dtype_policy.name
        return {"config": self.config.to_dict(), "dtype": policy}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Model:
        with dtype_scope(config["dtype"]):
            model = cls(config_class(cls).from_dict(config["config"]))
            model.build()
        return model


def symbolic_inputs(
    config: Config, policy: keras.DTypePolicy
) -> list[keras.KerasTensor]:
    """Return a keras.Input for each of the config's inputs, of any batch size."""
    real = policy.compute_dtype
    return [
        keras.Input(i.shape, dtype=real if i.dtype == "float32" else i.dtype)
        for i in config.inputs()
    ]


def activation(kind: str) -> Callable[[Any], Any]:
    """Return the activation; `prelu` is a layer with one learned slope."""
    if kind == "prelu":
        return PReLU()
    return {
        "relu": ops.relu,
        "leaky_relu": lambda x: ops.where(x > 0, x, 0.01 * x),
        "elu": lambda x: ops.elu(x, alpha=1.0),
        "selu": _selu,
        # ops.gelu rounds its constant to float32.
        "gelu": lambda x: 0.5 * x * (1 + ops.erf(x * math.sqrt(0.5))),
        "gelu_tanh": _gelu_tanh,
        "silu": ops.silu,
        "sigmoid": ops.sigmoid,
        "tanh": ops.tanh,
        "softplus": ops.softplus,
        "softmax": lambda x: ops.softmax(x, axis=-1),
        "identity": lambda x: x,
    }[kind]


def _selu(x: Any) -> Any:
    # At exactly 0, TensorFlow's selu has the slope of positive inputs.
    x = ops.where(x > 0, x, 1.6732632423543772 * ops.elu(x, alpha=1.0))
    return 1.0507009873554805 * x


def _gelu_tanh(x: Any) -> Any:
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return 0.5 * x * (1 + ops.tanh(inner))


class PReLU(layers.Layer):
    """One learned slope for negative inputs, as torch.nn.PReLU(1)."""

    def build(self, shape: Any) -> None:
        slope = keras.initializers.Constant(0.25)
        self.weight = self.add_weight(shape=(1,), initializer=slope, name="weight")

    def call(self, x: Any) -> Any:
        return ops.where(x > 0, x, self.weight * x)


def average(x: Any) -> Any:
    """Return the mean of each channel, averaging one axis after the other.

    Over all axes at once, TensorFlow adds pixel by pixel, which makes the float32
    variance of a large image wrong by 1e-4.
    """
    while len(x.shape) > 1:
        x = ops.mean(x, -2)
    return x


class BatchNorm(layers.BatchNormalization):
    """Batch norm whose running variance is unbiased, n/(n-1), as PyTorch's is."""

    def __init__(self, eps: float = BN_EPS) -> None:
        super().__init__(
            axis=-1,
            momentum=BN_MOMENTUM,
            epsilon=eps,
            beta_initializer="zeros",
            gamma_initializer="ones",
            moving_mean_initializer="zeros",
            moving_variance_initializer="ones",
        )
        self.still = False  # if True, uses the running statistics in training too

    def call(self, x: Any, training: bool = False) -> Any:
        if self.still or not (training and self.trainable):
            return super().call(x, training=False)
        wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        mean, var, n = self.statistics(wide)
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, var * (n / ops.maximum(n - 1, 1)))
        y = ops.batch_normalization(
            wide,
            mean,
            var,
            axis=-1,
            offset=ops.cast(self.beta, wide.dtype),
            scale=ops.cast(self.gamma, wide.dtype),
            epsilon=self.epsilon,
        )
        return ops.cast(y, self.compute_dtype)

    def statistics(self, x: Any) -> tuple[Any, Any, Any]:
        """Return each channel's mean and variance, and the number of its elements."""
        mean = average(x)
        n = ops.cast(ops.size(x), x.dtype) / x.shape[-1]
        return mean, average(ops.square(x - ops.stop_gradient(mean))), n

    def _move(self, running: keras.Variable, new: Any) -> None:
        old = ops.cast(running, new.dtype)
        running.assign(self.momentum * old + (1 - self.momentum) * new)


def image_norm(
    kind: str, channels: int, groups: int = 8, bn_eps: float = BN_EPS
) -> layers.Layer:
    """Return a norm for (N, H, W, C); "layer" is a group norm with one group."""
    if kind == "batch":
        return BatchNorm(bn_eps)
    if kind in ("group", "layer"):
        return _group_norm(groups if kind == "group" else 1)
    return layers.Identity()


def vector_norm(kind: str, features: int, groups: int = 8) -> layers.Layer:
    """Return a norm for (N, C); layer and RMS norm also take (N, T, C)."""
    if kind == "batch":
        return BatchNorm()
    if kind == "group":
        return _group_norm(groups)
    if kind == "layer":
        return layer_norm()
    if kind == "rms":
        return layers.RMSNormalization(axis=-1, epsilon=LN_EPS)
    return layers.Identity()


def _group_norm(groups: int) -> layers.GroupNormalization:
    return layers.GroupNormalization(
        groups=groups,
        axis=-1,
        epsilon=LN_EPS,
        beta_initializer="zeros",
        gamma_initializer="ones",
    )


def layer_norm(eps: float = LN_EPS) -> layers.LayerNormalization:
    """Return keras.layers.LayerNormalization over the last axis."""
    return layers.LayerNormalization(
        axis=-1, epsilon=eps, beta_initializer="zeros", gamma_initializer="ones"
    )


class PaddedConv2D(layers.Conv2D):
    """Strided convolution with the same padding on every side, as PyTorch's.

    With stride 2, Keras's "same" pads an even size only at its far end.
    """

    def __init__(
        self, filters: int, kernel: int, stride: int, padding: int, bias: bool = True
    ) -> None:
        super().__init__(filters, kernel, stride, padding="valid", use_bias=bias)
        self.pads = (padding, padding)

    def call(self, x: Any) -> Any:
        return super().call(ops.pad(x, [(0, 0), self.pads, self.pads, (0, 0)]))

    def compute_output_shape(self, shape: Any) -> Any:
        n, h, w, c = shape
        pad = sum(self.pads)
        return super().compute_output_shape((n, h and h + pad, w and w + pad, c))


def max_pool(
    x: Any, kernel: int, stride: int, padding: int = 0, ceil: bool = False
) -> Any:
    """Max-pool (N, H, W, C), padded with -inf; of equals the first, as in PyTorch.

    Unlike the others, TensorFlow's kernel ignores a NaN beside numbers.
    """
    if 2 * padding == kernel - 1 and stride == 1:
        return ops.max_pool(x, kernel, 1, padding="same")  # symmetric at stride 1
    if padding or ceil:
        # In ceil mode the last window must start inside the image or its left padding.
        after = min(padding + stride - 1, kernel - 1) if ceil else padding
        pads = [(0, 0), (padding, after), (padding, after), (0, 0)]
        x = ops.pad(x, pads, constant_values=-math.inf)
    return ops.max_pool(x, kernel, stride, padding="valid")


def adaptive_avg_pool(x: Any, size: int) -> Any:
    """Average (N, H, W, C) to (N, size, size, C), over PyTorch's windows.

    By two matrix products, as the windows overlap unless `size` divides H and W.
    """
    _, h, w, _ = x.shape
    if (h, w) == (size, size):
        return x
    rows = ops.convert_to_tensor(window_averages(h, size), dtype=x.dtype)
    columns = ops.convert_to_tensor(window_averages(w, size), dtype=x.dtype)
    return ops.einsum("ih,jw,nhwc->nijc", rows, columns, x)


def chain(parts: Iterable[Callable[[Any], Any]], x: Any) -> Any:
    """Apply layers and functions one after the other, as nn.Sequential does."""
    for part in parts:
        x = part(x)
    return x


class _Recurrent(layers.Layer):
    """Stacked, optionally bidirectional recurrence of keras.layers.

    Each layer and direction has its own Keras layer: `l0`, `l0_reverse`, `l1`, …
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = layers.Dropout(dropout if num_layers > 1 else 0.0)
        for layer in range(num_layers):
            for name in self._names(layer):
                backwards = name.endswith("_reverse")
                setattr(self, name, self.leaf(hidden_size, backwards))

    def _names(self, layer: int) -> tuple[str, ...]:
        names = (f"l{layer}", f"l{layer}_reverse")
        return names if self.bidirectional else names[:1]

    def call(self, x: Any, lengths: Any = None, training: bool = False) -> Any:
        """Map (N, T, C) to outputs (N, T, D*H), zero past the end, and last states.

        The last states (N, D*H) are those after each direction's last real step.
        """
        mask = None
        if lengths is not None:
            steps = ops.arange(x.shape[1], dtype=lengths.dtype)  # (T,)
            mask = steps < ops.expand_dims(lengths, 1)  # (N, T)
        last: list[Any] = []
        for layer in range(self.num_layers):
            x = self.dropout(x, training=training) if layer else x
            outs, last = [], []
            for name in self._names(layer):
                out, h, *_ = getattr(self, name)(x, mask=mask)  # (N, T, H), (N, H)
                backwards = name.endswith("_reverse")
                outs.append(ops.flip(out, axis=1) if backwards else out)
                last.append(h)
            x = ops.concatenate(outs, -1)  # (N, T, D*H)
        return x, ops.concatenate(last, -1)  # (N, T, D*H), (N, D*H)


# Every layer returns all steps and the last state; outputs past the end are zero.
_LEAF: dict[str, Any] = {
    "activation": "tanh",
    "kernel_initializer": "glorot_uniform",
    "recurrent_initializer": "orthogonal",
    "bias_initializer": "zeros",
    "return_sequences": True,
    "return_state": True,
    "zero_output_for_mask": True,
}


class RNN(_Recurrent):
    """Elman RNN with tanh and one bias."""

    def leaf(self, units: int, backwards: bool) -> layers.SimpleRNN:
        return layers.SimpleRNN(units, go_backwards=backwards, **_LEAF)


class LSTM(_Recurrent):
    """LSTM (gates i, f, g, o) with one bias per gate."""

    def leaf(self, units: int, backwards: bool) -> layers.LSTM:
        return layers.LSTM(
            units,
            recurrent_activation="sigmoid",
            unit_forget_bias=True,
            go_backwards=backwards,
            **_LEAF,
        )


class GRU(_Recurrent):
    """GRU (gates r, z, n), the reset gate after the matmul: both biases matter."""

    def leaf(self, units: int, backwards: bool) -> layers.GRU:
        return layers.GRU(
            units,
            recurrent_activation="sigmoid",
            reset_after=True,
            go_backwards=backwards,
            **_LEAF,
        )
