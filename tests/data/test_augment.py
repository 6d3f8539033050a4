"""Augmentation: each change by its definition, and masks that follow."""

import numpy as np
import pytest

from tests.data.loading import numbered
from zoo.data import augment, from_arrays
from zoo.data.batches import Batches
from zoo.errors import InputError
from zoo.spec import recipe
from zoo.spec.batch import Batch


def images(count=40, size=16, channels=2):
    y, x = np.mgrid[:size, :size] / size
    one = np.stack([np.sin(6 * x + y), np.cos(4 * y - x)][:channels], -1)
    return np.repeat(one[None], count, 0).astype(np.float32) + 2


def changed(x, *names, seed=0, step=0, targets=None):
    targets = np.zeros(len(x), np.int32) if targets is None else targets
    return augment.augment(Batch((x,), targets), names, seed, step)


def test_the_names_are_the_recipes():
    assert tuple(augment.AUGMENTATIONS) == recipe.AUGMENTATIONS


def test_flip_turns_some_images_round():
    x = images()
    [y], _ = changed(x, "flip")
    flipped = (y == x[:, :, ::-1]).all((1, 2, 3))
    assert 5 < flipped.sum() < 35
    assert np.array_equal(y[~flipped], x[~flipped])


def test_crop_moves_an_image_by_an_eighth_at_most():
    x = np.zeros((200, 16, 24, 1), np.float32)
    x[:, 8, 12] = 1
    [y], _ = changed(x, "crop")
    _, rows, columns, _ = np.nonzero(y)
    assert set(rows) == set(range(6, 11))
    assert set(columns) == set(range(9, 16))
    assert not changed(np.ones_like(x), "crop").inputs[0].all()  # zeros from outside


def rotated(x, degrees):
    """The same rotation, spelled out pixel by pixel."""
    size, angle = x.shape[0], np.deg2rad(degrees)
    out, middle = np.zeros_like(x), (size - 1) / 2
    for i in range(size):
        for j in range(size):
            a, b = i - middle, j - middle
            r = np.cos(angle) * a - np.sin(angle) * b + middle
            c = np.sin(angle) * a + np.cos(angle) * b + middle
            for p in (int(np.floor(r)), int(np.floor(r)) + 1):
                for q in (int(np.floor(c)), int(np.floor(c)) + 1):
                    if 0 <= p < size and 0 <= q < size:
                        out[i, j] += (1 - abs(r - p)) * (1 - abs(c - q)) * x[p, q]
    return out


def test_rotate_is_bilinear_and_small(monkeypatch):
    x = images(3, 9)
    turns = np.array([-1.0, 0.0, 0.7], np.float32)
    drawn = lambda seed, name, shape: turns.reshape(shape)  # noqa: E731
    monkeypatch.setattr(augment, "uniform", drawn)
    [y], _ = changed(x, "rotate")
    assert np.array_equal(y[1], x[1])
    for found, old, turn in zip(y, x, turns):
        assert np.abs(found - rotated(old, 10 * turn)).max() < 1e-5


@pytest.mark.parametrize("ids", [False, True])
def test_masks_move_with_their_images(ids):
    x = np.zeros((30, 32, 32, 3), np.float32)
    x[:, 6:14, 10:20] = 1
    mask = x[..., :1]
    [y], t = changed(
        x, "rotate", "flip", "crop", targets=mask[..., 0].astype(int) if ids else mask
    )
    assert set(np.unique(t)) == {0, 1}
    inside = (t if ids else t[..., 0]) == 1
    assert y[inside].mean() > 0.93
    assert y[~inside].mean() < 0.01
    assert (t.reshape(30, -1) != mask.reshape(30, -1)).any(1).all()


def test_augmentation_depends_on_seed_and_step_and_leaves_the_data_alone():
    x = images()
    kept = x.copy()
    every = tuple(augment.AUGMENTATIONS)
    [first], _ = changed(x, *every)
    assert np.array_equal(changed(x, *reversed(every)).inputs[0], first)
    assert not np.array_equal(changed(x, *every, step=1).inputs[0], first)
    assert not np.array_equal(changed(x, *every, seed=1).inputs[0], first)
    assert np.array_equal(x, kept)
    assert first.dtype == np.float32
    data = from_arrays(x, np.arange(40)).train
    batch = Batches(data, 8, seed=3, augment=("crop",)).batch(7)
    plain = Batches(data, 8, seed=3).batch(7)
    wanted = augment.augment(plain, ("crop",), 3, 7)
    assert np.array_equal(batch.inputs[0], wanted.inputs[0])


def test_only_images_are_augmented():
    with pytest.raises(InputError, match="only images"):
        Batches(numbered(), 4, seed=0, augment=("flip",)).batch(0)
