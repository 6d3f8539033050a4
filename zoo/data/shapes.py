"""Digits and photographs in the shapes that models take.

Digits become images, sequences of rows, vectors or tokens; `ink` is (N, 8, 8) in
[0, 1]. Photographs become crops of any size.
"""

from __future__ import annotations

import math

import numpy as np

from .scikit import digits, photographs

PHOTO_MEAN = (0.485, 0.456, 0.406)  # of ImageNet, as public checkpoints expect
PHOTO_STD = (0.229, 0.224, 0.225)


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
    """Return (N, width): the pixels of the largest square image that fits, row by row.

    A width of 784 is a 28x28 image; what is left over is padded with 0. A width below
    64 takes the pixels that vary most among all digits, in reading order.
    """
    if width < 64:
        variance = digits().images.reshape(-1, 64).var(0)
        chosen = np.sort(np.argsort(variance)[64 - width :])
        return ink.reshape(-1, 64).take(chosen, 1)
    side = math.isqrt(width)
    flat = as_images(ink, side, side).reshape(len(ink), -1)
    return np.pad(flat, ((0, 0), (0, width - side**2)))


def as_tokens(ink: np.ndarray, length: int = 64, vocabulary: int = 16) -> np.ndarray:
    """Return (N, length), int32: each pixel's ink as one of at most 16 tokens.

    A length below 64 takes the middle of the digit; beyond 64 the next digit follows.
    """
    levels = min(vocabulary, 16)
    ids = np.rint(ink.reshape(-1, 64) * (levels - 1)).astype(np.int32)
    copies = [np.roll(ids, -i, 0) for i in range(-(-length // 64))]
    ids = np.concatenate(copies, 1)
    start = max(0, (64 - length) // 2)
    return np.ascontiguousarray(ids[:, start : start + length])


def enlarged(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return pictures (N, H, W, C), enlarged by whole factors, then padded with 0.

    Pictures that are too large are cropped about the middle.
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

    The windows alternate between the photographs. Each is at least 60 % as high and as
    wide as the largest one of that aspect ratio.
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
    """Return photographs in [0, 1], normalised by ImageNet's mean and deviation.

    Args:
        photos: (…, W, 3), float.
    """
    # Whole rows at a time: NumPy is slow where the last axis has length 3.
    rows = photos.reshape(*photos.shape[:-2], -1)
    constants = np.array([PHOTO_MEAN, PHOTO_STD], np.float32)
    mean, std = np.tile(constants, (1, photos.shape[-2]))
    return ((rows - mean) / std).reshape(photos.shape)
