"""Random numbers as pure functions of a seed and a name, the same on every machine.

Each name has its own Philox-4x64 stream (Salmon et al. 2011), keyed by the seed and a
hash of the name. Each number is made from 24 bits of the generator's raw words. NumPy
guarantees that these words never change, unlike its normally distributed numbers.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from ..errors import ConfigError


def uniform(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return float32 numbers in [-1, 1), a pure function of seed, name and shape.

    Raises ConfigError for a seed outside [0, 2**64).
    """
    integer = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not integer or not 0 <= seed < 2**64:
        raise ConfigError(f"seed must be an integer in [0, 2**64); got {seed!r}.")
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    stream = np.random.Philox(key=[int(seed), int.from_bytes(digest, "little")])
    count = math.prod(shape)
    words = np.asarray(stream.random_raw((count + 1) // 2), dtype="<u8").view("<u4")
    # k / 2^23 - 1 for 24 random bits k, which float32 represents exactly.
    out = (words[:count] >> np.uint32(8)).astype(np.float32)
    out *= np.float32(2**-23)
    out -= np.float32(1)
    return out.reshape(shape)


def integers(
    seed: int, name: str, shape: tuple[int, ...], high: int | np.ndarray
) -> np.ndarray:
    """Return int64 numbers in [0, high); `high` is broadcast against `shape`."""
    unit = (uniform(seed, name, shape).astype(np.float64) + 1) / 2
    return (unit * high).astype(np.int64)


def order(seed: int, name: str, count: int) -> np.ndarray:
    """Return the integers from 0 to count - 1 in random order, int64."""
    return np.argsort(uniform(seed, name, (count,)), kind="stable")
