"""PyTorch parameters <-> canonical names and layouts, which are PyTorch's own.

So PyTorch needs no table: a State is a `state_dict` without `num_batches_tracked`,
which is a counter and no weight. The hidden bias of LSTM and RNN, fixed at zero, is a
non-persistent buffer (see `_layers`) and not in the `state_dict`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import FileError
from ..spec.layouts import Arrays


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
        if tensor.requires_grad or not trainable
    }


def to_numpy(tensor: Tensor) -> np.ndarray:
    """Return the tensor as NumPy; bfloat16, which NumPy lacks, as float32."""
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
        array = np.asarray(state[name])
        if array.dtype.name == "bfloat16":  # JAX's and TensorFlow's, no NumPy type
            array = array.astype(np.float32)
        if tensor.device.type == "cpu" and tensor.dtype != torch.bfloat16:
            np.copyto(tensor.detach().numpy(), array, casting="same_kind")
        else:
            tensor.copy_(torch.from_numpy(array.copy()))


def trainable(model: nn.Module) -> set[str]:
    """Return the canonical names that gradients reach."""
    return {n for n, t in _tensors(model).items() if t.requires_grad}


def save_native(model: nn.Module, path: Path) -> None:
    """Write safetensors that the plain PyTorch class loads strictly.

    So the hidden bias of LSTM and RNN, fixed at zero, is written too.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in _tensors(model).items()}
    for name, buffer in model.named_buffers():
        if "bias_hh" in name:
            tensors[name] = buffer.detach().cpu().clone()
    save_file(tensors, path, {"format": "pt"})


def read_pickle(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a .pt or .pth file, without unpickling anything else."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise FileError(f"{path} is not a file of weights only: {reason}") from None
    tensors = content.get("state_dict", content) if isinstance(content, dict) else {}
    named = isinstance(tensors, dict) and all(isinstance(k, str) for k in tensors)
    if not named or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise FileError(f"{path} holds no state_dict.")
    return {name: to_numpy(tensor) for name, tensor in tensors.items()}
