"""Real data that needs no download, fitted to any config's inputs.

scikit-learn brings 1,797 handwritten digits (8x8, 16 levels of grey) and two colour
photographs. The digits become images, sequences of rows, flat vectors or tokens; the
photographs become crops. Everything is NumPy, channels last, and the same in every
room.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .configs._base import Config, Input
from .errors import ZooError
from .initializers import uniform

PHOTO_MEAN = (0.485, 0.456, 0.406)  # of ImageNet, as public checkpoints expect
PHOTO_STD = (0.229, 0.224, 0.225)


class MissingDataError(ZooError, ImportError):
    """A library that holds or reads the embedded data is not installed."""


class Digits(NamedTuple):
    """Handwritten digits: ink (N, 8, 8) in [0, 1], labels (N,)."""

    images: np.ndarray
    labels: np.ndarray


@cache
def digits() -> Digits:
    """Return scikit-learn's digits, read-only."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    raw: Any = load_digits()
    images = (raw["images"] / 16).astype(np.float32)
    labels = raw["target"].astype(np.int32)
    for array in (images, labels):
        array.flags.writeable = False
    return Digits(images, labels)


@cache
def photographs() -> np.ndarray:
    """Return scikit-learn's two photographs: (2, 427, 640, 3) in [0, 1], read-only."""
    try:
        from sklearn.datasets import load_sample_images

        raw: Any = load_sample_images()  # decoded by Pillow
    except ImportError as error:
        raise _missing(error) from None
    photos = np.stack(raw["images"]).astype(np.float32) / 255
    photos.flags.writeable = False
    return photos


class Table(NamedTuple):
    """Rows of numbers: features (N, F), labels (N,), and what the labels mean."""

    features: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


@cache
def breast_cancer() -> Table:
    """Return scikit-learn's breast-cancer table: (569, 30) as measured, read-only."""
    try:
        from sklearn.datasets import load_breast_cancer
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    raw: Any = load_breast_cancer()
    features = np.array(raw["data"], np.float64)
    labels = raw["target"].astype(np.int32)
    for array in (features, labels):
        array.flags.writeable = False
    return Table(features, labels, tuple(map(str, raw["target_names"])))


def _missing(error: ImportError) -> MissingDataError:
    return MissingDataError(
        f"the embedded data needs scikit-learn and pillow ({error.name or 'pillow'} is"
        " not installed): in a checkout of zoo, run pip install '.[data]'."
    )


# Digits in other shapes. `ink` is (N, 8, 8), whichever digits are wanted.


def as_images(
    ink: np.ndarray, height: int, width: int, channels: int = 1
) -> np.ndarray:
    """Return (N, height, width, channels): enlarged by whole factors, then padded."""
    image = _fit(_fit(ink, 1, height), 2, width)
    return np.repeat(image[..., None], channels, -1)


def as_rows(ink: np.ndarray, length: int = 8, width: int = 8) -> np.ndarray:
    """Return (N, length, width): a digit read from top to bottom, a row at a time."""
    return _fit(_fit(ink, 1, length), 2, width)


def as_vectors(ink: np.ndarray, width: int = 64) -> np.ndarray:
    """Return (N, width): all pixels of the image that fits; if few, the telling ones.

    784 is a 28x28 image, row by row. Less than 64 takes the pixels that vary most
    among all digits, in reading order.
    """
    if width < 64:
        variance = digits().images.reshape(-1, 64).var(0)
        telling = np.sort(np.argsort(variance)[64 - width :])
        return ink.reshape(-1, 64).take(telling, 1)
    side = math.isqrt(width)
    flat = as_images(ink, side, side).reshape(len(ink), -1)
    return np.pad(flat, ((0, 0), (0, width - side**2)))


def as_tokens(ink: np.ndarray, length: int = 64, vocabulary: int = 16) -> np.ndarray:
    """Return (N, length), int32: each pixel's ink as a token, at most 16 of them.

    Fewer than 64 are the middle of the digit; after the 64th the next digit follows.
    """
    levels = min(vocabulary, 16)
    ids = np.rint(ink.reshape(-1, 64) * (levels - 1)).astype(np.int32)
    copies = [np.roll(ids, -i, 0) for i in range(-(-length // 64))]
    ids = np.concatenate(copies, 1)
    start = max(0, (64 - length) // 2)
    return np.ascontiguousarray(ids[:, start : start + length])


def enlarged(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return pictures (N, H, W, C), enlarged by whole factors, then padded with 0.

    What is too large is cropped about the middle.
    """
    return _fit(_fit(pictures, 1, height), 2, width)


def _fit(x: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Repeat along an axis by a whole factor, then pad or crop about the middle."""
    x = np.repeat(x, max(1, size // x.shape[axis]), axis)
    spare = size - x.shape[axis]
    if spare < 0:
        return x.take(range(-spare // 2, -spare // 2 + size), axis)
    pads = [(0, 0)] * x.ndim
    pads[axis] = (spare // 2, spare - spare // 2)
    return np.pad(x, pads)


def as_crops(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return (count, height, width, 3) in [0, 1]: windows of the photographs, resized.

    The windows alternate between the photographs; each covers at least 60 % of the
    largest one of that form.
    """
    photos = photographs()
    from PIL import Image

    random = np.random.default_rng(seed)
    tall, wide = photos.shape[1:3]
    crops = np.empty((count, height, width, 3), np.float32)
    for i in range(count):
        scale = random.uniform(0.6, 1) * min(tall / height, wide / width)
        h, w = int(scale * height), int(scale * width)
        top, left = random.integers(tall - h + 1), random.integers(wide - w + 1)
        window = photos[i % len(photos), top : top + h, left : left + w]
        picture = Image.fromarray(np.rint(window * 255).astype(np.uint8))
        crops[i] = np.asarray(picture.resize((width, height))) / np.float32(255)
    return crops


def normalise(photos: np.ndarray) -> np.ndarray:
    """Return photographs in [0, 1] with ImageNet's mean and deviation taken out.

    Args:
        photos: (…, W, 3), float.
    """
    # Whole rows at a time: NumPy is slow where the last axis has length 3.
    rows = photos.reshape(*photos.shape[:-2], -1)
    constants = np.array([PHOTO_MEAN, PHOTO_STD], np.float32)
    mean, std = np.tile(constants, (1, photos.shape[-2]))
    return ((rows - mean) / std).reshape(photos.shape)


# Random choices: pure functions of a seed and a name, from the stream of raw words that
# NumPy guarantees for ever.


def integers(
    seed: int, name: str, shape: tuple[int, ...], high: int | np.ndarray
) -> np.ndarray:
    """Return int64 numbers in [0, high); `high` may differ along the last axes."""
    unit = (uniform(seed, name, shape).astype(np.float64) + 1) / 2
    return (unit * high).astype(np.int64)


def order(seed: int, name: str, count: int) -> np.ndarray:
    """Return the numbers below `count` in random order, int64."""
    return np.argsort(uniform(seed, name, (count,)), kind="stable")


# Inputs of any model, by what its config says of them.


def sample_inputs(
    config: Config, batch: int = 2, seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Return real inputs for a config, in call order: NumPy, channels last.

    Images with three channels are photographs; everything else is made of digits.
    Lengths and masks end where a digit's ink ends; time steps are drawn.
    """
    ink = np.empty((0, 8, 8), np.float32)
    if any(_source(spec) == "digits" for spec in config.inputs()):
        order = np.random.default_rng(seed).permutation(len(digits().images))
        ink = digits().images[np.resize(order, batch)]
    arrays: list[np.ndarray] = []
    for spec in config.inputs():
        arrays.append(_sample(spec, ink, arrays[0] if arrays else None, batch, seed))
    return tuple(arrays)


def sample_labels(batch: int = 2, seed: int = 0) -> np.ndarray:
    """Return the labels (N,) of the digits that `sample_inputs` shows."""
    order = np.random.default_rng(seed).permutation(len(digits().labels))
    return digits().labels[np.resize(order, batch)]


def describe(config: Config) -> str:
    """Return in words what `sample_inputs` gives: "digits as 28x28 images"."""
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
    if spec.kind not in ("real", "token"):
        return ""
    return "photographs" if len(spec.shape) == 3 and spec.shape[2] == 3 else "digits"


def _sample(
    spec: Input, ink: np.ndarray, first: np.ndarray | None, batch: int, seed: int
) -> np.ndarray:
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
