"""Real inputs for any model, made to fit the inputs that its config lists.

Images with three channels are photographs; all others are made of digits, as images,
sequences of rows, flat vectors or tokens.
"""

from __future__ import annotations

import numpy as np

from ..configs._base import Config, Input
from .scikit import digits
from .shapes import as_crops, as_images, as_rows, as_tokens, as_vectors, normalise


def sample_inputs(
    config: Config, batch: int = 2, seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Return real inputs for a config, in call order: NumPy, channels last.

    Images with three channels are photographs; all others are made of digits. Lengths
    and masks end where a digit's ink ends; time steps are random.
    """
    ink = np.empty((0, 8, 8), np.float32)
    if any(_source(spec) == "digits" for spec in config.inputs()):
        order = np.random.default_rng(seed).permutation(len(digits().images))
        ink = digits().images[np.resize(order, batch)]
    arrays: list[np.ndarray] = []
    for spec in config.inputs():
        arrays.append(_sample(spec, ink, arrays[0] if arrays else None, batch, seed))
    return tuple(arrays)


def describe(config: Config) -> str:
    """Return a description of `sample_inputs`, such as "digits as 28x28 images"."""
    words = []
    for spec in config.inputs():
        size = "x".join(map(str, spec.shape)).removesuffix("x1")
        if _source(spec) == "photographs":
            words.append(f"photographs, {size}")
        elif spec.kind == "token":
            words.append(f"digits as {size} tokens")
        elif spec.kind == "real":
            form = {1: "{} numbers", 2: "{} rows", 3: "{} images"}[len(spec.shape)]
            words.append("digits as " + form.format(size))
        else:
            words.append({"time": "time steps"}.get(spec.kind, spec.name))
    return ", ".join(words)


def _source(spec: Input) -> str:
    """Return "photographs", "digits", or "" for an input made of neither."""
    if spec.kind not in ("real", "token"):
        return ""
    return "photographs" if len(spec.shape) == 3 and spec.shape[2] == 3 else "digits"


def _sample(
    spec: Input, ink: np.ndarray, first: np.ndarray | None, batch: int, seed: int
) -> np.ndarray:
    """Return one input; lengths and masks follow from the first input."""
    if spec.kind == "time":
        random = np.random.default_rng(seed)
        return random.integers(0, 1000, batch).astype(np.float32)
    if spec.kind in ("length", "mask"):
        steps = _steps(spec, first, batch)
        if spec.kind == "length":
            return steps
        return np.arange(spec.shape[0]) < steps[:, None]
    if _source(spec) == "photographs":
        height, width, _ = spec.shape
        return normalise(as_crops(batch, height, width, seed))
    if spec.kind == "token":
        return as_tokens(ink, spec.shape[0], spec.high)
    makers = {1: as_vectors, 2: as_rows, 3: as_images}
    return makers[len(spec.shape)](ink, *spec.shape)


def _steps(spec: Input, first: np.ndarray | None, batch: int) -> np.ndarray:
    """Return the number of steps up to the last one with ink, at least one."""
    most = spec.high if spec.kind == "length" else spec.shape[0]
    if first is None or first.ndim < 2:
        return np.full(batch, most, np.int32)
    step = np.arange(1, first.shape[1] + 1)
    ink = np.abs(first.reshape(*first.shape[:2], -1)).max(-1)  # (N, T)
    last = np.where(ink > 0, step, 1).max(1)
    return np.minimum(last, most).astype(np.int32)
