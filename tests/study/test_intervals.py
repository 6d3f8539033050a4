"""Medians, paired ratios and their intervals."""

import numpy as np
import pytest

from zoo.study import intervals


def test_the_interval_of_a_median_covers_it_as_often_as_it_says():
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        estimate = intervals.median(random.lognormal(size=15))
        hits += estimate.low <= 1.0 <= estimate.high  # the true median
    assert 0.9 < hits / 200 < 0.99


def test_pairs_see_what_drift_hides():
    """The machine slows down fivefold; ours takes 0.97 of the other's time."""
    drift = np.linspace(1, 5, 20)
    noise = np.random.default_rng(0).normal(1, 0.01, (2, 20))
    ours, other = 0.97 * drift * noise[0], drift * noise[1]
    ratio = intervals.paired_ratio(ours, other)
    assert ratio.high < 1
    assert intervals.verdict(ratio) == "faster"
    apart = [intervals.median(ours), intervals.median(other)]
    assert apart[0].high > apart[1].low  # which medians alone do not show
    assert intervals.verdict(intervals.paired_ratio(other, ours)) == "slower"
    same = intervals.paired_ratio(drift * noise[0], drift * noise[1])
    assert intervals.verdict(same) == "within noise"


def test_the_mean_over_seeds_has_students_interval():
    estimate = intervals.mean([0.97, 0.98, 0.99])
    half = 4.302653 * 0.01 / np.sqrt(3)  # t(0.975) of two degrees of freedom
    assert estimate == pytest.approx((0.98, 0.98 - half, 0.98 + half), rel=1e-6)
    assert intervals.mean([0.5]).high == np.inf
