"""Random numbers as functions of a seed and a name: the same for ever."""

import hashlib

import numpy as np
import pytest

from zoo.errors import ConfigError
from zoo.spec import draws


def test_numbers_are_24_bits_of_philox_keyed_by_seed_and_name():
    name = "fc.weight"
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    key = int.from_bytes(digest, "little")
    wanted = []
    for word in np.random.Philox(key=[3, key]).random_raw(3).tolist():
        wanted += [(half >> 8) / 2**23 - 1 for half in (word % 2**32, word >> 32)]
    found = draws.uniform(3, name, (5,))
    assert found.dtype == np.float32
    assert found.tolist() == wanted[:5]


def test_a_larger_shape_only_appends():
    whole = draws.uniform(1, "x", (4, 5))
    assert np.array_equal(draws.uniform(1, "x", (7,)), whole.ravel()[:7])
    assert draws.uniform(1, "x", ()) == whole[0, 0]
    assert draws.uniform(1, "x", (0, 3)).shape == (0, 3)


def test_seeds_and_names_have_streams_of_their_own():
    first = draws.uniform(1, "x", (20_000,))
    for seed, name in ((2, "x"), (1, "y")):
        other = draws.uniform(seed, name, (20_000,))
        assert abs(np.corrcoef(first, other)[0, 1]) < 5 / np.sqrt(20_000)
    assert -1 <= first.min() < -0.999
    assert 0.999 < first.max() < 1
    assert abs(first.mean()) < 5 / np.sqrt(3 * 20_000)  # its variance is 1/3


def test_integers_are_below_their_limits():
    highs = np.array([1, 2, 10])
    found = draws.integers(5, "pixels", (3000, 3), highs)
    assert found.dtype == np.int64
    assert found.min(0).tolist() == [0, 0, 0]
    assert found.max(0).tolist() == [0, 1, 9]
    counts = np.bincount(found[:, 2], minlength=10)
    assert (abs(counts - 300) < 5 * np.sqrt(300)).all()


def test_an_order_has_each_number_once():
    found = draws.order(0, "epoch:0", 1000)
    assert sorted(found) == list(range(1000))
    assert not np.array_equal(found, draws.order(0, "epoch:1", 1000))
    assert np.array_equal(found, draws.order(np.int64(0), "epoch:0", 1000))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, "1", None])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ConfigError, match="seed must be an integer"):
        draws.uniform(seed, "x", (2,))
