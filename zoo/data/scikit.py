"""The data in scikit-learn's package, as NumPy arrays; nothing is downloaded.

Digits: 1,797 handwritten ones, 8x8 pixels in 17 levels of grey. Photographs: two, in
colour. Breast cancer: 569 rows of 30 measurements.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..errors import ZooError


class MissingDataError(ZooError, ImportError):
    """A library that holds or reads the embedded data is not installed."""


class Digits(NamedTuple):
    """Handwritten digits: images (N, 8, 8) of ink in [0, 1], labels (N,)."""

    images: np.ndarray
    labels: np.ndarray


@cache
def digits() -> Digits:
    """Return scikit-learn's digits: (1797, 8, 8) in [0, 1], read-only."""
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
    """Rows of numbers: features (N, F), labels (N,), and the names of the classes."""

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
