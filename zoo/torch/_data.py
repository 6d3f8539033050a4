"""Batches for plain PyTorch loops: a DataLoader of NCHW tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from ..spec.batch import BatchSource

Examples = tuple[Tensor | tuple[Tensor, ...], Tensor]


class _Epoch(Dataset):
    """The batches of one epoch by number, so that worker processes can read them."""

    def __init__(self, batches: BatchSource, epoch: int) -> None:
        self.batches = batches
        self.first = epoch * batches.steps_per_epoch

    def __len__(self) -> int:
        return self.batches.steps_per_epoch

    def __getitem__(self, index: int) -> Examples:
        inputs, targets = self.batches.batch(self.first + index)
        tensors = tuple(map(_tensor, inputs))
        return tensors[0] if len(tensors) == 1 else tensors, _tensor(targets)


def _tensor(array: np.ndarray) -> Tensor:
    """Return images as (N, C, H, W), ids as int64, anything else as it is."""
    if array.ndim == 4:
        array = array.transpose(0, 3, 1, 2)
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.long() if tensor.dtype == torch.int32 else tensor


def loader(batches: BatchSource, epoch: int = 0, **options: Any) -> DataLoader:
    """Return the batches of an epoch as a DataLoader, in the order of `fit`.

    It yields (inputs, targets): images and masks as float (N, C, H, W), ids as int64,
    and a tuple of inputs for a model that takes several. The options are the
    DataLoader's: num_workers, pin_memory …
    """
    return DataLoader(_Epoch(batches, epoch), batch_size=None, **options)
