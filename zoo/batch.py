"""What a training step is fed: NumPy, channels last, the same in every room."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np


class Batch(NamedTuple):
    """Examples with their targets.

    `inputs` stand in call order, channels last. `targets` are int32 ids for
    cross-entropy, (N,), (N, T) or (N, H, W), or floats of the logits' shape.
    """

    inputs: tuple[np.ndarray, ...]
    targets: np.ndarray

    @property
    def size(self) -> int:
        """The number of examples."""
        return len(self.targets)


class Split(Protocol):
    """Where examples come from: arrays, or files read when asked for."""

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> Batch:
        """Return the examples at these indices, in this order."""
        ...
