"""Random numbers as pure functions of a seed and a name, the same on every machine.

Each name has its own Philox-4x64 stream (Salmon et al. 2011), keyed by the seed and by
a hash of the name. Numbers are made from the generator's raw words, 24 bits each: NumPy
guarantees that stream for ever, unlike its normal numbers.
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
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**64:
        raise ConfigError(f"seed must be an integer in [0, 2**64); got {seed!r}.")
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    stream = np.random.Philox(key=[int(seed), int.from_bytes(digest, "little")])
    count = math.prod(shape)
    words = np.asarray(stream.random_raw((count + 1) // 2), dtype="<u8").view("<u4")
    # 24 random bits, exactly representable: k / 2^23 - 1
    out = (words[:count] >> np.uint32(8)).astype(np.float32)
    out *= np.float32(2**-23)
    out -= np.float32(1)
    return out.reshape(shape)


def integers(
    seed: int, name: str, shape: tuple[int, ...], high: int | np.ndarray
) -> np.ndarray:
    """Return int64 numbers in [0, high); `high` may differ along the last axes."""
    unit = (uniform(seed, name, shape).astype(np.float64) + 1) / 2
    return (unit * high).astype(np.int64)


def order(seed: int, name: str, count: int) -> np.ndarray:
    """Return the numbers below `count` in random order, int64."""
    return np.argsort(uniform(seed, name, (count,)), kind="stable")
