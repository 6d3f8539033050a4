"""Initial weights: the same bits in every framework, from (seed, canonical name).

Each array has its own Philox-4x64 stream (Salmon et al. 2011), keyed by the seed and
by a hash of the parameter's name, so weights depend neither on the order nor on the
presence of other parameters. Uniform numbers are made from the generator's raw words,
24 bits each: NumPy guarantees that stream for ever, unlike its normal numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase

import numpy as np

from .configs._base import Config, Init
from .errors import ConfigError


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


def fans(shape: tuple[int, ...], layout: str = "oi") -> tuple[int, int]:
    """Return (fan in, fan out) of a weight whose first two axes are `layout`.

    Transposed convolutions ("io") count no kernel pixels: where kernel = stride, each
    output pixel is made from one input pixel.
    """
    first, second = shape[0], shape[1] if len(shape) > 1 else 1
    if layout == "io":
        return first, second
    field = math.prod(shape[2:])
    return second * field, first * field


def rule_for(config: Config, name: str, shape: tuple[int, ...]) -> Init:
    """Return how the weight of this name and shape starts, by the config's rules."""
    for pattern, init in config.init_rules():
        if fnmatchcase(name, pattern):
            return init
    if fnmatchcase(name, "*act.weight"):  # PReLU's slope
        return Init("constant", 0.25)
    last = name.rpartition(".")[2]
    if last == "running_var" or (last == "weight" and len(shape) == 1):
        return Init("constant", 1.0)
    if last == "running_mean" or "bias" in last:
        return Init("constant", 0.0)
    return Init(config.scheme)


def draw(config: Config, seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the initial float32 value of one weight, in canonical layout."""
    scheme, value, layout = rule_for(config, name, shape)
    if scheme == "zeros":
        return np.zeros(shape, np.float32)
    if scheme == "constant":
        return np.full(shape, value, np.float32)
    if scheme == "lstm_bias":  # forget gate open at first (Jozefowicz et al. 2015)
        return np.repeat(np.array([0, 1, 0, 0], np.float32), shape[0] // 4)
    fan_in, fan_out = fans(shape, layout)
    variance = {
        "he": 2 / fan_in,
        "lecun": 1 / fan_in,
        "xavier": 2 / (fan_in + fan_out),
        "torch": 1 / (3 * fan_in),
        "std": value**2,
    }[scheme]
    out = uniform(seed, name, shape)
    out *= np.float32(math.sqrt(3 * variance))  # uniform in ±a has variance a²/3
    return out


def initial_state(
    config: Config, shapes: Mapping[str, tuple[int, ...]], seed: int
) -> dict[str, np.ndarray]:
    """Return the zoo's initial weights for these canonical names and shapes."""
    with ThreadPoolExecutor(2) as pool:  # NumPy's raw words release the GIL
        drawn = pool.map(lambda n: draw(config, seed, n, tuple(shapes[n])), shapes)
        return dict(zip(shapes, drawn))


def sinusoid_frequencies(width: int) -> np.ndarray:
    """Return the width/2 angular frequencies 10000^(-2i/width), float32.

    Rounded to float32 by definition: every room and every precision then starts from
    the same bits.
    """
    exponent = np.arange(0, width, 2, dtype=np.float64) / width
    return (10000.0**-exponent).astype(np.float32)


def sinusoid_table(length: int, width: int) -> np.ndarray:
    """Return sinusoidal positions (length, width): sin even, cos odd columns, float32.

    Vaswani et al. 2017 (arXiv:1706.03762), section 3.5. Computed in float64, then
    rounded to float32 by definition.
    """
    exponent = np.arange(0, width, 2, dtype=np.float64) / width
    angles = np.arange(length, dtype=np.float64)[:, None] * 10000.0**-exponent
    table = np.empty((length, width), np.float32)
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles)
    return table
