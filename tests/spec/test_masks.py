"""Counted dropout's generator: as good as random, and the same for ever."""

import numpy as np
import pytest

from tests.spec.shares import KEY, share
from zoo.spec import masks


def correlation(a, b, rate):
    """Return the correlation of two masks, in standard deviations."""
    a, b = a - (1 - rate), b - (1 - rate)
    return (a * b).mean() / (rate * (1 - rate)) * np.sqrt(a.size)


@pytest.mark.parametrize("rate", (0.1, 0.3, 0.5, 0.9))
def test_the_share_that_is_kept(rate):
    z = [share(masks.keep(k, "fc", (300, 100), rate), rate) for k in range(100)]
    assert np.abs(z).max() < 5
    assert 0.7 < np.std(z) < 1.3  # no less random than random


@pytest.mark.parametrize("rate", (0.1, 0.5))
def test_masks_of_neighbours_have_nothing_in_common(rate):
    shape = (512, 1024)
    one = masks.keep(7, "a", shape, rate)
    for key, layer, call in ((8, "a", 0), (7, "b", 0), (7, "a", 1)):
        other = masks.keep(key, layer, shape, rate, call=call)
        assert abs(correlation(one, other, rate)) < 5, (key, layer, call)
    flat = one.ravel()
    for lag in (1, 2, 3, 4, 7, 8, 64, 768, 1024, 2048, 3072, 8192, 2**16):
        assert abs(correlation(flat[:-lag], flat[lag:], rate)) < 5, lag
    rows = one - (1 - rate)
    pairs = rows @ rows.T / (rate * (1 - rate)) / np.sqrt(shape[1])
    assert np.abs(pairs[np.triu_indices(len(one), 1)]).max() < 6.5  # of 131,000


def test_every_bit_of_the_key_turns_half_of_the_bits():
    x = np.random.default_rng(0).integers(0, masks.WORD, 20_000)
    for bit in range(32):
        turned = masks.scramble(x) ^ masks.scramble(x ^ (1 << bit))
        share = (turned[:, None] >> np.arange(32) & 1).mean(0)
        assert np.abs(share - 0.5).max() < 5 * 0.5 / np.sqrt(len(x)) + 0.01, bit


def test_first_row_goes_on_counting():
    whole = masks.keep(KEY, "x", (6, 3, 4), 0.4)
    assert (masks.keep(KEY, "x", (2, 3, 4), 0.4, first_row=3) == whole[3:5]).all()


def test_the_masks_of_all_versions_are_these():
    bits = masks.keep(masks.step_key(1, 2, 3), "h.0.attn.dropout", (1, 64), 0.5)
    assert np.packbits(bits).tobytes().hex() == "e824294856bbaa44"
