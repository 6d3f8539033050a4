"""What a training step is fed: NumPy, channels last, the same in every backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from ..errors import InputError


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


def check_targets(kind: str, logits: tuple[int, ...], targets: tuple[int, ...]) -> None:
    """Raise InputError where targets cannot belong to logits, channels last.

    Frameworks would broadcast some of these, and train something else.
    """
    wanted = logits[:-1] if kind == "cross_entropy" else logits
    if targets != wanted:
        raise InputError(
            f"{kind} of logits {logits} needs targets of shape {wanted}; got {targets}."
        )


class Split(Protocol):
    """Where examples come from: arrays, or files read when asked for."""

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> Batch:
        """Return the examples at these indices, in this order."""
        ...


class BatchSource(Protocol):
    """The batches of a run by number, as `zoo.data.batches.Batches` gives them."""

    steps_per_epoch: int

    def batch(self, step: int) -> Batch:
        """Return the batch of a step; steps count from 0."""
        ...

    def stream(self, first: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """Yield the batches of steps first … stop - 1, read ahead."""
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
    """Return one worker's part of a batch, and the place of its first row.

    Raises InputError for fewer examples than workers.
    """
    check_shares(batch.size, workers)
    parts = split(batch, workers)
    return parts[rank], sum(p.size for p in parts[:rank])


def check_shares(size: int, workers: int) -> None:
    """Raise InputError where some worker would have no example."""
    if size < workers:
        raise InputError(
            f"each of {workers} workers needs an example of every batch, and of every"
            f" part of it that accumulate makes; the smallest has {size}: choose"
            " another batch_size, a smaller accumulate, or fewer workers."
        )
