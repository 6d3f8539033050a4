"""Random changes of training images, as pure functions of (seed, step).

Each change has its own stream of random numbers, so adding one leaves the others as
they are. Segmentation masks move with their images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import ConfigError, InputError, unknown
from ..spec.batch import Batch
from ..spec.draws import integers, uniform

DEGREES = 10  # the largest rotation
PART = 8  # a crop moves the image by at most this part (1/8) of its size

# Each change takes the images, then the masks if there are any: (N, H, W, …) each.
_Arrays = list[np.ndarray]


def _flip(arrays: _Arrays, seed: int, name: str) -> _Arrays:
    """Exchange left and right in half of the images."""
    chosen = integers(seed, name, (len(arrays[0]),), 2).astype(bool)
    flipped = [x.copy() for x in arrays]
    for x in flipped:
        x[chosen] = x[chosen, :, ::-1]
    return flipped


def _crop(arrays: _Arrays, seed: int, name: str) -> _Arrays:
    """Cut a window of the image's own size out of the image with zeros around."""
    count, height, width = arrays[0].shape[:3]
    y, x = -(-height // PART), -(-width // PART)
    high = np.array([2 * y + 1, 2 * x + 1])
    corners = integers(seed, name, (count, 2), high).tolist()
    cropped = []
    for old in arrays:
        shape = (count, height + 2 * y, width + 2 * x, *old.shape[3:])
        padded = np.zeros(shape, old.dtype)
        padded[:, y : y + height, x : x + width] = old
        new = np.empty_like(old)
        for i, (top, left) in enumerate(corners):
            new[i] = padded[i, top : top + height, left : left + width]
        cropped.append(new)
    return cropped


def _rotate(arrays: _Arrays, seed: int, name: str) -> _Arrays:
    """Turn about the middle: images bilinear, masks the nearest pixel's value."""
    images, *masks = arrays
    count, height, width = images.shape[:3]
    angles = np.deg2rad(DEGREES) * uniform(seed, name, (count, 1, 1)).astype(float)
    cos, sin = np.cos(angles), np.sin(angles)
    y = np.arange(height)[:, None] - (height - 1) / 2
    x = np.arange(width) - (width - 1) / 2
    # Where each pixel comes from, (N, H, W): the inverse rotation.
    rows = cos * y - sin * x + (height - 1) / 2
    columns = sin * y + cos * x + (width - 1) / 2

    top, left = np.floor(rows), np.floor(columns)
    down, right = ((rows - top)[..., None], (columns - left)[..., None])
    down, right = (np.repeat(w, images.shape[3], 3) for w in (down, right))
    down, right = down.astype(images.dtype), right.astype(images.dtype)
    corner, shift = _place(top, left, images.shape), width + 4
    x = _padded(images)
    upper, lower = x.take(corner, 0), x.take(corner + shift, 0)
    upper += (x.take(corner + 1, 0) - upper) * right
    lower += (x.take(corner + shift + 1, 0) - lower) * right
    upper += (lower - upper) * down
    nearest = _place(np.rint(rows), np.rint(columns), images.shape)
    return [upper, *(_padded(mask).take(nearest, 0) for mask in masks)]


# Two zeros are padded on each side: pixels outside of the image are taken from there.


def _padded(x: np.ndarray) -> np.ndarray:
    """Return all pixels of the padded images, flat: (N * (H + 4) * (W + 4), …)."""
    count, height, width = x.shape[:3]
    padded = np.zeros((count, height + 4, width + 4, *x.shape[3:]), x.dtype)
    padded[:, 2:-2, 2:-2] = x
    return padded.reshape(-1, *x.shape[3:])


def _place(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the indices (N, H, W) of pixels in `_padded`; the next ones exist too."""
    count, height, width = shape[:3]
    first = np.arange(count)[:, None, None] * (height + 4)
    rows = np.clip(rows, -2, height).astype(int) + (first + 2)
    return rows * (width + 4) + (np.clip(columns, -2, width).astype(int) + 2)


# By name, in the order in which they are applied.
AUGMENTATIONS: dict[str, Callable[[_Arrays, int, str], _Arrays]] = {
    "flip": _flip,
    "crop": _crop,
    "rotate": _rotate,
}


def check_names(names: Sequence[str]) -> None:
    """Raise UnknownNameError for a change that does not exist."""
    if isinstance(names, str):
        raise ConfigError(f"augment must be a list of names; got {names!r}.")
    for name in names:
        if name not in AUGMENTATIONS:
            raise unknown("augmentation", name, AUGMENTATIONS)


def augment(batch: Batch, names: Sequence[str], seed: int, step: int) -> Batch:
    """Return a batch with its images changed at random.

    Args:
        batch: its first input is images (N, H, W, C), floats. Targets (N, H, W) or
            (N, H, W, K) are masks and move with them.
        names: any of flip (left and right exchanged, in half of the images), crop (the
            image moved by up to 1/8 of its size, zeros from outside), rotate (by up to
            10 degrees, bilinear, zeros from outside); applied in this order.
        seed, step: the random choices are a function of both.

    Raises:
        UnknownNameError: for another name.
        InputError: for inputs that are no images.
    """
    check_names(names)
    images, *others = batch.inputs
    if names and images.ndim != 4:
        raise InputError(
            f"{', '.join(names)}: only images (N, H, W, C) can be augmented; these"
            f" inputs are {images.shape}."
        )
    masked = batch.targets.ndim > 2
    arrays = [images, batch.targets] if masked else [images]
    for name, change in AUGMENTATIONS.items():
        if name in names:
            arrays = change(arrays, seed, f"{name}:{step}")
    return Batch((arrays[0], *others), arrays[1] if masked else batch.targets)
