"""Splits: examples from arrays or from a function, and fitted to a model."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..spec.batch import Batch, Split
from ..spec.draws import order

KEPT = 512 * 2**20  # bytes of made examples that a split keeps in memory
FITTED_ONCE = 256 * 2**20  # bytes up to which arrays are fitted to a model beforehand

TEST_PART = 0.2


class Arrays:
    """Examples in memory."""

    def __init__(self, inputs: tuple[np.ndarray, ...], targets: np.ndarray) -> None:
        self.batch = Batch(inputs, targets)

    def __len__(self) -> int:
        return self.batch.size

    def take(self, indices: np.ndarray) -> Batch:
        inputs, targets = self.batch
        return Batch(tuple(x[indices] for x in inputs), targets[indices])

    def part(self, indices: np.ndarray) -> Arrays:
        """Return some of the examples, copied."""
        return Arrays(*self.take(indices))


class Made:
    """Examples made, or read from a file, when first taken; then kept in memory.

    Args:
        count: number of examples.
        make: returns (input, target) of the example with an index.
        threads: number of threads that make examples.
    """

    def __init__(
        self,
        count: int,
        make: Callable[[int], tuple[np.ndarray, np.ndarray]],
        threads: int = 1,
    ) -> None:
        self._count, self._make, self._threads = count, make, threads
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def take(self, indices: np.ndarray) -> Batch:
        wanted = indices.tolist()
        examples = {i: self._kept[i] for i in wanted if i in self._kept}
        missing = [i for i in dict.fromkeys(wanted) if i not in examples]
        if self._threads > 1 and len(missing) > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                examples.update(zip(missing, pool.map(self._make, missing)))
        else:
            examples.update((i, self._make(i)) for i in missing)
        for i in missing:
            self._bytes += sum(x.nbytes for x in examples[i])
            if self._bytes <= KEPT:
                self._kept[i] = examples[i]
        pictures, targets = zip(*(examples[i] for i in wanted))
        return Batch((np.stack(pictures),), np.stack(targets))


class Fitted:
    """Another split's examples, fitted to a model when they are taken."""

    def __init__(self, split: Split, fit: Callable[[Batch], Batch]) -> None:
        self._split, self._fit = split, fit

    def __len__(self) -> int:
        return len(self._split)

    def take(self, indices: np.ndarray) -> Batch:
        return self._fit(self._split.take(indices))


def fitted(split: Split, fit: Callable[[Batch], Batch]) -> Split:
    """Return a split fitted to a model: all of it now if small, else when taken."""
    if isinstance(split, Arrays) and len(split):
        first = fit(split.take(np.zeros(1, int)))
        size = sum(x.nbytes for x in (*first.inputs, first.targets))
        if size * len(split) <= FITTED_ONCE:
            return Arrays(*fit(split.batch))
    return Fitted(split, fit)


def stratified(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of a random 80/20 split, a fifth of each class for testing.

    A class of two or more examples has at least one in each part. Both are sorted.
    """
    rank = np.empty(len(labels), int)  # in a random order of all examples
    rank[order(seed, "split", len(labels))] = np.arange(len(labels))
    test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = max(round(TEST_PART * len(members)), int(len(members) > 1))
        test[members[np.argsort(rank[members])[:count]]] = True
    return np.flatnonzero(~test), np.flatnonzero(test)
