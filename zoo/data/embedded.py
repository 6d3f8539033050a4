"""The data sets made of scikit-learn's data: digits, digit scenes, breast cancer."""

from __future__ import annotations

import hashlib
from collections.abc import Sized
from typing import Any

import numpy as np

from ..configs._base import Config
from ..spec.draws import integers
from . import scikit
from .fitting import Raw, Source
from .splits import Arrays, Made, stratified

SCENE = 64  # height and width of a scene
ENLARGED = 4
TRAIN_SCENES, TEST_SCENES = 2000, 400


def sha256(*arrays: np.ndarray) -> str:
    """Return the hash of the arrays' bytes, one after the other."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def split_notes(seed: int, train: Sized, test: Sized) -> dict[str, Any]:
    """Return the notes on a random split for run.json: counts and seed."""
    return {
        "train": len(train),
        "test": len(test),
        "split": f"random 80/20 within each class, seed {seed}",
    }


def digits() -> Source:
    """Return the 1,797 digits of 8x8 pixels."""

    def read(config: Config, seed: int) -> Raw:
        images, labels = scikit.digits()
        train, test = stratified(labels, seed)
        notes = {
            "source": "scikit-learn, load_digits",
            "sha256": sha256(images, labels),
            **split_notes(seed, train, test),
            "remark": "the same writers are on both sides of the split",
        }
        examples = Arrays((images[..., None],), labels)  # (N, 8, 8, 1)
        return Raw(examples.part(train), examples.part(test), notes)

    return Source("digits", "classify", tuple("0123456789"), (8, 8, 1), read)


def breast_cancer() -> Source:
    """Return 569 tumours: 30 measurements each, and the diagnosis."""

    def read(config: Config, seed: int) -> Raw:
        features, labels, _ = scikit.breast_cancer()
        train, test = stratified(labels, seed)
        mean, deviation = features[train].mean(0), features[train].std(0)
        x = ((features - mean) / deviation).astype(np.float32)
        examples = Arrays((x,), labels)
        notes = {
            "source": "scikit-learn, load_breast_cancer",
            "sha256": sha256(features, labels),
            **split_notes(seed, train, test),
            "remark": "standardised with mean and deviation of the training part",
            "mean": mean.tolist(),
            "deviation": deviation.tolist(),
        }
        return Raw(examples.part(train), examples.part(test), notes)

    classes = scikit.breast_cancer().classes
    return Source("breast_cancer", "classify", classes, (30,), read)


def digit_scenes() -> Source:
    """Return photographs with white digits pasted in, and masks of the digits."""

    def read(config: Config, seed: int) -> Raw:
        images, labels = scikit.digits()
        photos = scikit.photographs()
        train, test = stratified(labels, seed)
        train_scenes = _scenes(photos, images[train], seed, "train", TRAIN_SCENES)
        test_scenes = _scenes(photos, images[test], seed, "test", TEST_SCENES)
        notes = {
            "source": "scikit-learn, load_digits on load_sample_images",
            "sha256": sha256(images, labels, photos),
            "train": TRAIN_SCENES,
            "test": TEST_SCENES,
            "split": f"the digits' own, seed {seed}",
            "remark": "windows of the same two photographs are on both sides",
        }
        return Raw(train_scenes, test_scenes, notes)

    classes = ("background", "digit")
    return Source("digit_scenes", "segment", classes, (SCENE, SCENE, 3), read)


def _scenes(
    photos: np.ndarray, ink: np.ndarray, seed: int, split: str, count: int
) -> Made:
    """Return scenes, each a pure function of (seed, split, index).

    A scene is a window of a photograph with 1 to 3 digits, enlarged 4 times, painted on
    it in white. A pixel's ink is its opacity; the mask is where that is above 0.5.
    """
    side = ENLARGED * ink.shape[1]
    free = SCENE - side + 1
    tall, wide = (size - SCENE + 1 for size in photos.shape[1:3])
    high = np.array([len(photos), tall, wide, 3] + 3 * [len(ink), free, free])
    name = f"digit_scenes:{split}"
    drawn = integers(seed, name, (count, len(high)), high).tolist()

    def make(index: int) -> tuple[np.ndarray, np.ndarray]:
        photo, top, left, more, *pastes = drawn[index]
        scene = photos[photo, top : top + SCENE, left : left + SCENE]
        alpha = np.zeros((SCENE, SCENE), np.float32)
        for i in range(0, 3 * (more + 1), 3):
            digit, y, x = pastes[i : i + 3]
            large = ink[digit].repeat(ENLARGED, 0).repeat(ENLARGED, 1)
            window = alpha[y : y + side, x : x + side]
            np.maximum(window, large, out=window)
        painted = scene + (1 - scene) * alpha[..., None]
        return np.rint(painted * 255).astype(np.uint8), alpha > 0.5

    return Made(count, make)
