"""Initial weights: the same bits in every framework, from (seed, canonical name).

Each parameter has its own stream of random numbers (see `draws`), keyed by the seed and
its name. So its values do not depend on other parameters or on their order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase

import numpy as np

from ..configs._base import Config, Init
from .draws import uniform


def fans(shape: tuple[int, ...], layout: str = "oi") -> tuple[int, int]:
    """Return (fan in, fan out) of a weight whose first two axes are `layout`.

    Of a transposed convolution ("io") kernel pixels do not count: where the kernel
    equals the stride, each output pixel depends on one input pixel.
    """
    first, second = shape[0], shape[1] if len(shape) > 1 else 1
    if layout == "io":
        return first, second
    field = math.prod(shape[2:])
    return second * field, first * field


def rule_for(config: Config, name: str, shape: tuple[int, ...]) -> Init:
    """Return a weight's initial scheme, by the config's rules or the general ones."""
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
