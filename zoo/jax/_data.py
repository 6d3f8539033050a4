"""Batches as JAX's own loops take them: an iterable of arrays, channels last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import Array

if TYPE_CHECKING:
    from ..spec.batch import BatchSource

Examples = tuple[Array | tuple[Array, ...], Array]


class Loader:
    """The batches of one epoch; each `for` loop over it begins anew."""

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
    """Return the batches of an epoch as an iterable, in `fit`'s order.

    Args:
        batches: such as `zoo.data.batches.Batches`.
        epoch: which one, from 0; each has an order of its own.

    Yields:
        (inputs, targets): float (N, H, W, C) and so on, ids int32; a tuple of inputs
        where the model takes several.
    """
    return Loader(batches, epoch)
