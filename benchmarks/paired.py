"""Paired timing: A B A B … in one process, compared by the ratio of neighbours.

A machine's speed drifts by much more than the few per cent of interest, but hardly
between two calls in a row. So each pair gives one ratio. The median of the ratios has a
95 % interval, from a bootstrap with a fixed seed.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time

import numpy as np

from zoo.study.intervals import median


@dataclass(frozen=True)
class Paired:
    """Times of A and B in seconds, pair by pair, and statistics of their ratios."""

    a: tuple[float, ...]
    b: tuple[float, ...]

    @property
    def ratios(self) -> np.ndarray:
        """A's time over B's, pair by pair: below 1 where A is faster."""
        return np.asarray(self.a) / np.asarray(self.b)

    @property
    def ratio(self) -> float:
        """Median of the paired ratios."""
        return float(np.median(self.ratios))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % percentile-bootstrap interval of the median ratio."""
        estimate = median(self.ratios.tolist())
        return estimate.low, estimate.high

    @property
    def medians(self) -> tuple[float, float]:
        """Median seconds of A and of B."""
        return float(np.median(self.a)), float(np.median(self.b))


def paired(
    a: Callable[[], object],
    b: Callable[[], object],
    *,
    seconds: float,
    least: int = 10,
    most: int = 200,
    warm_up: int = 3,
    cpu: bool = False,
) -> Paired:
    """Time a and b in turn until `seconds` have passed, at least `least` pairs.

    The warm-up calls, the first of which may compile, are not timed. The garbage
    collector is off. A call must not return before its work is done. With `cpu` the
    times are CPU times of all threads.
    """
    for _ in range(warm_up):
        a(), b()
    times: tuple[list[float], list[float]] = [], []
    now = process_time if cpu else perf_counter
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        end = perf_counter() + seconds
        while len(times[0]) < least or (perf_counter() < end and len(times[0]) < most):
            for call, record in zip((a, b), times):
                record.append(clock(call, now))
    finally:
        if collecting:
            gc.enable()
    return Paired(tuple(times[0]), tuple(times[1]))


def clock(call: Callable[[], object], now: Callable[[], float]) -> float:
    """Return the seconds that one call takes, without freeing its result."""
    start = now()
    result = call()
    elapsed = now() - start
    del result
    return elapsed


def in_turn(a: Callable[[], float], b: Callable[[], float], pairs: int) -> Paired:
    """Pair two functions that time themselves, as fresh processes do."""
    times: Sequence[tuple[float, float]] = [(a(), b()) for _ in range(pairs)]
    first, second = zip(*times)
    return Paired(first, second)
