"""Statistics of repeated measurements: medians and paired ratios, with 95 % intervals.

Intervals of medians are percentile bootstraps (Efron 1979) with a fixed seed, so the
same measurements always have the same interval. The mean over a few seeds has Student's
interval: three values are too few for a bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import MissingPackageError

RESAMPLES = 4000
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A value, and the interval that contains the true one with 95 % confidence."""

    value: float
    low: float
    high: float


def median(values: Sequence[float]) -> Estimate:
    """Return the median of measurements with its bootstrap interval."""
    array = np.asarray(values, np.float64)
    draws = np.random.default_rng(0).integers(len(array), size=(RESAMPLES, len(array)))
    tails = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(np.median(array[draws], axis=1), [tails, 100 - tails])
    return Estimate(float(np.median(array)), float(low), float(high))


def paired_ratio(ours: Sequence[float], others: Sequence[float]) -> Estimate:
    """Return the median ratio of measurements made in turn, one pair per round.

    Both measurements of a round are affected alike by the machine's drift, so it
    cancels.
    """
    return median([a / b for a, b in zip(ours, others, strict=True)])


def mean(values: Sequence[float]) -> Estimate:
    """Return the mean with Student's interval, which is infinite for one value."""
    array = np.asarray(values, np.float64)
    value, count = float(array.mean()), len(array)
    if count < 2:
        return Estimate(value, -math.inf, math.inf)
    try:
        from scipy.special import stdtrit
    except ModuleNotFoundError:
        raise MissingPackageError(
            "the interval of a mean over seeds needs scipy: in a checkout of zoo, run"
            " pip install '.[data]'."
        ) from None

    quantile = float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2))
    half = quantile * float(array.std(ddof=1)) / math.sqrt(count)
    return Estimate(value, value - half, value + half)


def spread(values: Sequence[float]) -> float:
    """Return the interquartile range."""
    low, high = np.percentile(values, [25, 75])
    return float(high - low)


def verdict(ratio: Estimate) -> str:
    """Return "faster", "slower", or "within noise" if the interval contains 1."""
    if ratio.high < 1:
        return "faster"
    return "slower" if ratio.low > 1 else "within noise"
