"""Batches as a pure function of (seed, step): the step alone resumes a run."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..errors import ConfigError, InputError
from ..spec.batch import Batch, Split
from ..spec.draws import order
from .augment import augment, check_names


class Batches:
    """The batches of a training run, one for each step; steps count from 0.

    Each epoch visits every example once, in an order of its own. The last batch of an
    epoch is smaller where the examples do not divide evenly.

    Args:
        split: where the examples come from.
        batch_size: examples in a batch.
        seed: of the orders and of the augmentation.
        augment: changes of the images, see `zoo.data.augment`.

    Raises:
        ConfigError: for a batch size below 1, or a seed outside [0, 2**64).
        UnknownNameError: for an augmentation that does not exist.
        InputError: for a split without examples.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int,
        augment: Sequence[str] = (),
    ) -> None:
        integer = isinstance(batch_size, (int, np.integer))
        if not integer or isinstance(batch_size, bool) or batch_size < 1:
            wanted = "a whole number, at least 1"
            raise ConfigError(f"batch_size must be {wanted}; got {batch_size!r}.")
        check_names(augment)
        self.split, self.batch_size, self.seed = split, int(batch_size), seed
        self.augment = tuple(augment)
        if not len(split):
            raise InputError(f"0 examples give no batch of {batch_size}.")
        self.steps_per_epoch = math.ceil(len(split) / self.batch_size)
        self._latest = (-1, np.empty(0, np.int64))  # an epoch, and its order
        self._order(0)  # raises for a bad seed

    def batch(self, step: int) -> Batch:
        """Return the batch of a step; its epoch is step // steps_per_epoch."""
        if step < 0:
            raise InputError(f"steps count from 0; got {step}.")
        epoch, index = divmod(step, self.steps_per_epoch)
        start = index * self.batch_size
        batch = self.split.take(self._order(epoch)[start : start + self.batch_size])
        if not self.augment:
            return batch
        return augment(batch, self.augment, self.seed, step)

    def stream(
        self, first: int = 0, stop: int | None = None
    ) -> Generator[Batch, None, None]:
        """Yield the batches of steps first … stop - 1, or for ever.

        A thread prepares the next two batches. It ends with the iterator, also when
        that is closed or deleted early. An error is raised in place of its batch.
        """
        pool = ThreadPoolExecutor(1, "zoo-batches")
        try:
            ahead: deque = deque()
            step = first
            while True:
                while len(ahead) < 3 and (stop is None or step < stop):
                    ahead.append(pool.submit(self.batch, step))
                    step += 1
                if not ahead:
                    return
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _order(self, epoch: int) -> np.ndarray:
        """Return the order of an epoch's examples; the latest is kept."""
        # Read once: the thread of `stream` may replace it at any time.
        latest, indices = self._latest
        if latest != epoch:
            indices = order(self.seed, f"epoch:{epoch}", len(self.split))
            self._latest = epoch, indices
        return indices
