"""Batches as a pure function of (seed, step): resuming needs no state but the step."""

from __future__ import annotations

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
    epoch holds what is left.

    Args:
        split: where the examples come from.
        batch_size: examples in a batch.
        seed: of the orders and of the augmentation.
        shuffle: False leaves the examples in their own order.
        augment: changes of the images, see `zoo.data.augment`.
        drop_last: leave out an epoch's last batch if it is smaller.

    Raises:
        ConfigError: for a batch size below 1, or a seed outside [0, 2**64).
        UnknownNameError: for an augmentation that does not exist.
        InputError: for a split that gives no batch.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int,
        shuffle: bool = True,
        augment: Sequence[str] = (),
        drop_last: bool = False,
    ) -> None:
        whole = isinstance(batch_size, (int, np.integer))
        if not whole or isinstance(batch_size, bool) or batch_size < 1:
            wanted = "a whole number, at least 1"
            raise ConfigError(f"batch_size must be {wanted}; got {batch_size!r}.")
        check_names(augment)
        self.split, self.batch_size, self.seed = split, int(batch_size), seed
        self.shuffle, self.augment, self.drop_last = shuffle, tuple(augment), drop_last
        count = len(split)
        self.steps_per_epoch = count // self.batch_size
        if not drop_last and count % self.batch_size:
            self.steps_per_epoch += 1
        if not self.steps_per_epoch:
            raise InputError(
                f"{count} examples give no batch of {batch_size}"
                f"{' with drop_last' if drop_last else ''}."
            )
        self._epoch = (-1, np.empty(0, np.int64))  # the last one asked for, its order
        self._order(0)  # or the error for its seed

    def _order(self, epoch: int) -> np.ndarray:
        known, found = self._epoch  # one look: `stream` has a thread of its own
        if known != epoch:
            count = len(self.split)
            found = order(self.seed, f"epoch:{epoch}", count)
            found = found if self.shuffle else np.arange(count)
            self._epoch = epoch, found
        return found

    def batch(self, step: int) -> Batch:
        """Return the batch of a step; epoch = step // steps_per_epoch."""
        if step < 0:
            raise InputError(f"steps count from 0; got {step}.")
        epoch, place = divmod(step, self.steps_per_epoch)
        start = place * self.batch_size
        batch = self.split.take(self._order(epoch)[start : start + self.batch_size])
        if not self.augment:
            return batch
        return augment(batch, self.augment, self.seed, step)

    def stream(
        self, first: int = 0, stop: int | None = None
    ) -> Generator[Batch, None, None]:
        """Yield the batches of steps first … stop - 1, or for ever.

        A thread works two batches ahead. It ends with the iterator: also when that is
        closed or forgotten early. An error arises where its batch would have been.
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
