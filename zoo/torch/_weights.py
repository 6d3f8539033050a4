"""PyTorch parameters <-> canonical names: the canonical names are PyTorch's own.

So there is no table here: a `state_dict` is the State, less `num_batches_tracked`,
which counts batches and weighs nothing. The hidden bias that LSTM and RNN hold at
zero is a non-persistent buffer (see `_layers`) and never appears.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ..layouts import Arrays


def submodules(model: nn.Module) -> dict[str, nn.Module]:
    """Return every submodule by canonical path, parents first; "" is the model."""
    return dict(model.named_modules())


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    items = model.state_dict(keep_vars=True).items()
    return {k: v for k, v in items if not k.endswith("num_batches_tracked")}


def collect(
    model: nn.Module,
    value: Callable[[Tensor], np.ndarray],
    trainable: bool = False,
) -> dict[str, np.ndarray]:
    """Return `value` of every tensor under canonical names, in canonical layout."""
    return {
        name: value(tensor)
        for name, tensor in _tensors(model).items()
        if isinstance(tensor, nn.Parameter) or not trainable
    }


def to_numpy(tensor: Tensor) -> np.ndarray:
    """Return the tensor as NumPy; bfloat16, which NumPy has not, as float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def read(model: nn.Module) -> dict[str, np.ndarray]:
    """Return the weights and buffers; arrays may share the model's memory."""
    return collect(model, to_numpy)


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the canonical names and shapes without touching a weight."""
    return {name: tuple(tensor.shape) for name, tensor in _tensors(model).items()}


@torch.no_grad()
def write(model: nn.Module, state: Arrays) -> None:
    """Set the weights and buffers from canonical arrays of the right shapes."""
    for name, tensor in _tensors(model).items():
        tensor.copy_(torch.from_numpy(np.asarray(state[name])))
