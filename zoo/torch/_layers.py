"""Layers on which the frameworks differ, as PyTorch has them.

The other backends follow PyTorch's names, layouts and formulas, so most of this file
only names built-ins, with every constant written out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BN_EPS, BN_MOMENTUM = 1e-5, 0.1  # PyTorch's momentum multiplies the new value
LN_EPS = 1e-5


def activation(kind: str) -> Callable[[Tensor], Tensor]:
    """Return the activation; `prelu` is a module with one learned slope."""
    if kind == "prelu":
        return nn.PReLU(num_parameters=1, init=0.25)
    return {
        "relu": F.relu,
        "leaky_relu": lambda x: F.leaky_relu(x, negative_slope=0.01),
        "elu": lambda x: F.elu(x, alpha=1.0),
        "selu": F.selu,
        "gelu": lambda x: F.gelu(x, approximate="none"),
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
        "silu": F.silu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        # F.softplus turns linear at 20, which costs 2e-9; this form is exact.
        "softplus": lambda x: -F.logsigmoid(-x),
        "softmax": lambda x: F.softmax(x, dim=-1),
        "identity": lambda x: x,
    }[kind]


class _Activation(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def activation_layer(kind: str) -> nn.Module:
    """Return the activation as a module, for a slot of a list or nn.Sequential."""
    function = activation(kind)
    return function if isinstance(function, nn.Module) else _Activation(function)


def image_norm(
    kind: str, channels: int, groups: int = 8, bn_eps: float = BN_EPS
) -> nn.Module:
    """Return a norm for (N, C, H, W); "layer" is a group norm with one group."""
    if kind == "batch":
        return nn.BatchNorm2d(channels, eps=bn_eps, momentum=BN_MOMENTUM)
    if kind in ("group", "layer"):
        return nn.GroupNorm(groups if kind == "group" else 1, channels, eps=LN_EPS)
    return nn.Identity()


def vector_norm(kind: str, features: int, groups: int = 8) -> nn.Module:
    """Return a norm for (N, C); layer and RMS norm also take (N, T, C)."""
    if kind == "batch":
        return nn.BatchNorm1d(features, eps=BN_EPS, momentum=BN_MOMENTUM)
    if kind == "group":
        return nn.GroupNorm(groups, features, eps=LN_EPS)
    if kind == "layer":
        return nn.LayerNorm(features, eps=LN_EPS)
    if kind == "rms":
        return nn.RMSNorm(features, eps=LN_EPS)
    return nn.Identity()


class _Recurrent:
    """Mixin over nn.RNNBase: variable lengths without packing, last states.

    `pack_padded_sequence` can be neither exported nor compiled. So each layer and
    direction runs through the same fused kernel, the reverse direction on a sequence
    that is reversed inside its length: the same numbers, and as fast.
    """

    one_bias = True
    drop = staticmethod(F.dropout)  # between layers

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        shape: dict[str, Any] = {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "bidirectional": bidirectional,
            "dropout": dropout if num_layers > 1 else 0.0,
        }
        super().__init__(**shape, batch_first=True)  # pyrefly: ignore
        if self.one_bias:
            self._hold_hidden_bias()

    def _hold_hidden_bias(self: Any) -> None:
        # bias_hh is only ever added to bias_ih. Keras and Flax have no such bias, and
        # training both would double the bias's learning rate.
        for name in [n for n in self._parameters if n.startswith("bias_hh")]:
            zeros = torch.zeros_like(self._parameters.pop(name))
            self.register_buffer(name, zeros, persistent=False)
        self._init_flat_weights()

    def forward(self: Any, x: Tensor, lengths: Tensor | None = None) -> Any:
        """Map (N, T, C) to outputs (N, T, D*H), zero past the end, and last states.

        The last states (N, D*H) are those after each direction's last real step.
        """
        if lengths is None and self.drop is F.dropout:  # all that the kernel can do
            out, state = super().forward(x)  # type: ignore[misc]  # (N, T, D*H)
            h = state[0] if isinstance(state, tuple) else state  # (layers*D, N, H)
            last = torch.cat((h[-2], h[-1]), 1) if self.bidirectional else h[-1]
            return out, last  # (N, T, D*H), (N, D*H)
        if lengths is None:
            lengths = torch.full(x.shape[:1], x.shape[1], device=x.device)
        step = torch.arange(x.shape[1], device=x.device)  # (T,)
        length = lengths.to(step.dtype)[:, None]  # (N, 1)
        keep = step < length  # (N, T)
        turned = torch.where(keep, length - 1 - step, step)  # (N, T), its own inverse
        for layer in range(self.num_layers):
            if layer:
                x = self.drop(x, self.dropout, self.training)
            outs = [self._run(x, f"l{layer}")]  # (N, T, H) of each direction
            if self.bidirectional:
                y = self._run(_pick(x, turned), f"l{layer}_reverse")
                outs.append(_pick(y, turned))
            x = torch.cat(outs, 2) * keep[..., None]  # (N, T, D*H)
        size = self.hidden_size
        last = _pick(x[..., :size], length - 1)[:, 0]  # (N, H)
        if self.bidirectional:
            last = torch.cat((last, x[:, 0, size:]), 1)  # (N, 2*H)
        return x, last

    def _run(self: Any, x: Tensor, name: str) -> Tensor:
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self, f"{kind}_{name}") for kind in kinds]
        h = x.new_zeros(1, x.shape[0], self.hidden_size)
        return self.kernel(h, x, weights)


def _pick(x: Tensor, index: Tensor) -> Tensor:
    """Gather time steps (N, T') of x (N, T, C): (N, T', C)."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))


# The fused kernels' trailing arguments: has_biases, num_layers, dropout, train,
# bidirectional, batch_first.
_ONE_LAYER = (True, 1, 0.0, True, False, True)


class RNN(_Recurrent, nn.RNN):  # pyrefly: ignore[inconsistent-inheritance]
    """Elman RNN with tanh and one bias."""

    def kernel(self, h: Tensor, x: Tensor, weights: list[Tensor]) -> Tensor:
        return torch.rnn_tanh(x, h, weights, *_ONE_LAYER)[0]


class LSTM(_Recurrent, nn.LSTM):  # pyrefly: ignore[inconsistent-inheritance]
    """LSTM (gates i, f, g, o) with one bias per gate."""

    def kernel(self, h: Tensor, x: Tensor, weights: list[Tensor]) -> Tensor:
        return torch.lstm(x, (h, h), weights, *_ONE_LAYER)[0]


class GRU(_Recurrent, nn.GRU):  # pyrefly: ignore[inconsistent-inheritance]
    """GRU (gates r, z, n), the reset gate after the matmul: both biases matter."""

    one_bias = False

    def kernel(self, h: Tensor, x: Tensor, weights: list[Tensor]) -> Tensor:
        return torch.gru(x, h, weights, *_ONE_LAYER)[0]
