"""The timed calls of a PyTorch model: eager, as most people run it on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOSSES = {
    "cross_entropy": F.cross_entropy,
    "bce": F.binary_cross_entropy_with_logits,
}


def native(array: np.ndarray) -> Tensor:
    """Return a channels-last NumPy array as PyTorch takes it."""
    if array.ndim == 4:
        array = array.transpose(0, 3, 1, 2)
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.long() if tensor.dtype == torch.int32 else tensor


def targets(logits: Tensor, loss: str) -> Tensor:
    """Return targets of the right form: the model's own predictions."""
    return logits.argmax(1) if loss == "cross_entropy" else (logits > 0).float()


def forward(model: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Return the call that computes the logits in eval mode."""
    model.eval()

    def call() -> Tensor:
        with torch.no_grad():
            return model(x)

    return call


def train_step(
    model: nn.Module, x: Tensor, y: Tensor, loss: str
) -> Callable[[], Tensor]:
    """Return the call that computes loss and gradients in train mode."""
    model.train()

    def call() -> Tensor:
        model.zero_grad(set_to_none=True)
        value = LOSSES[loss](model(x), y)
        value.backward()
        return value

    return call


def count(model: nn.Module) -> int:
    """Return the number of trainable scalars."""
    return sum(p.numel() for p in model.parameters())


def wait(model: nn.Module) -> None:
    """Do nothing: eager CPU work is done when the call returns."""
