"""Batches for plain JAX loops: an iterable of arrays, channels last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import Array

if TYPE_CHECKING:
    from ..spec.batch import BatchSource

Examples = tuple[Array | tuple[Array, ...], Array]


class Loader:
    """The batches of one epoch; each `for` loop starts again at the first."""

    def __init__(self, batches: BatchSource, epoch: int) -> None:
        self.batches, self.epoch = batches, epoch

    def __len__(self) -> int:
        return self.batches.steps_per_epoch

    def __iter__(self) -> Iterator[Examples]:
        first = self.epoch * len(self)
        for inputs, targets in self.batches.stream(first, first + len(self)):
            arrays = tuple(map(jnp.asarray, inputs))
            yield arrays[0] if len(arrays) == 1 else arrays, jnp.asarray(targets)


def loader(batches: BatchSource, epoch: int = 0) -> Loader:
    """Return the batches of an epoch as an iterable, in the order of `fit`.

    It yields (inputs, targets): images and masks as float (N, H, W, C), ids as int32,
    and a tuple of inputs for a model that takes several.
    """
    return Loader(batches, epoch)
