"""Batches, the input of a training step: NumPy, channels last, in every backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from ..errors import InputError


class Batch(NamedTuple):
    """Examples with their targets.

    `inputs` are in call order, channels last. `targets` are int32 ids for
    cross-entropy, (N,), (N, T) or (N, H, W), or floats of the logits' shape.
    """

    inputs: tuple[np.ndarray, ...]
    targets: np.ndarray

    @property
    def size(self) -> int:
        """The number of examples."""
        return len(self.targets)


def check_targets(kind: str, logits: tuple[int, ...], targets: tuple[int, ...]) -> None:
    """Raise InputError for targets whose shape does not fit logits, channels last.

    Frameworks would broadcast some of them, and minimise a different loss.
    """
    wanted = logits[:-1] if kind == "cross_entropy" else logits
    if targets != wanted:
        raise InputError(
            f"{kind} of logits {logits} needs targets of shape {wanted}; got {targets}."
        )


class Split(Protocol):
    """Examples by index, from arrays or from files that are read on demand."""

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> Batch:
        """Return the examples at these indices, in this order."""
        ...


class BatchSource(Protocol):
    """The batches of a run by number, such as `zoo.data.batches.Batches`."""

    steps_per_epoch: int

    def batch(self, step: int) -> Batch:
        """Return the batch of a step; steps count from 0."""
        ...

    def stream(self, first: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """Yield the batches of steps first … stop - 1, which are read ahead."""
        ...


def split(batch: Batch, parts: int) -> list[Batch]:
    """Return a batch in parts, none of them empty, in order."""
    if parts == 1:
        return [batch]
    cuts = np.array_split(np.arange(batch.size), min(parts, batch.size))
    return [
        Batch(tuple(x[c[0] : c[-1] + 1] for x in batch.inputs), batch.targets[c])
        for c in cuts
    ]


def share(batch: Batch, rank: int, workers: int) -> tuple[Batch, int]:
    """Return one worker's part of a batch, and the index of its first row.

    Raises InputError for fewer examples than workers.
    """
    check_shares(batch.size, workers)
    parts = split(batch, workers)
    return parts[rank], sum(p.size for p in parts[:rank])


def check_shares(size: int, workers: int) -> None:
    """Raise InputError if a worker would get no example."""
    if size < workers:
        raise InputError(
            f"each of {workers} workers needs an example of every batch (of every part"
            f" of it, with accumulate), but the smallest has {size}: choose another"
            " batch_size, a smaller accumulate, or fewer workers."
        )
