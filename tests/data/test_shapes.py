"""Ink as images, rows, vectors and tokens; crops of photographs."""

import numpy as np
import pytest

from zoo.data import scikit, shapes


@pytest.fixture
def ink():
    return scikit.digits().images[:5]


def test_images_are_enlarged_by_whole_factors_and_padded(ink):
    images = shapes.as_images(ink, 28, 28)
    assert images.shape == (5, 28, 28, 1)
    assert not images[:, :2].any()
    assert not images[:, :, -2:].any()
    assert np.array_equal(images[:, 3:26:3, 3:26:3, 0], ink)
    three = shapes.as_images(ink, 32, 40, 3)
    assert three.shape == (5, 32, 40, 3)
    assert np.array_equal(three[..., 0], three[..., 2])


def test_small_images_are_cropped_about_the_middle(ink):
    assert np.array_equal(shapes.as_images(ink, 6, 4)[..., 0], ink[:, 1:7, 2:6])


def test_rows_read_from_top_to_bottom(ink):
    assert np.array_equal(shapes.as_rows(ink), ink)
    assert shapes.as_rows(ink, 16, 8).shape == (5, 16, 8)


@pytest.mark.parametrize("width", [2, 3, 20, 64, 100, 784, 1000])
def test_vectors_of_any_width_hold_ink(ink, width):
    vectors = shapes.as_vectors(ink, width)
    assert vectors.shape == (5, width)
    assert vectors.any(1).all() or width < 8
    assert len(np.unique(vectors, axis=0)) > 1


def test_784_numbers_are_a_28x28_image(ink):
    vectors, images = shapes.as_vectors(ink, 784), shapes.as_images(ink, 28, 28)
    assert np.array_equal(vectors, images.reshape(5, -1))


def test_tokens_are_four_bits_of_ink(ink):
    tokens = shapes.as_tokens(ink, 64, 1000)
    assert tokens.dtype == np.int32
    assert (tokens.min(), tokens.max()) == (0, 15)
    assert np.array_equal(tokens, np.rint(ink.reshape(5, 64) * 15))
    assert shapes.as_tokens(ink, 64, 4).max() == 3
    assert np.array_equal(shapes.as_tokens(ink, 7), tokens[:, 28:35])
    long = shapes.as_tokens(ink, 100)
    assert np.array_equal(long[:-1, 64:], tokens[1:, :36])


def test_crops_show_both_photographs():
    crops = shapes.as_crops(4, 32, 48, seed=1)
    assert crops.shape == (4, 32, 48, 3)
    assert 0 <= crops.min() < 0.2
    assert 0.8 < crops.max() <= 1
    assert crops[0, ..., 2].mean() > 2 * crops[1, ..., 2].mean()  # sky, dark leaves
    assert not np.array_equal(crops, shapes.as_crops(4, 32, 48, seed=2))


def test_normalise_takes_imagenets_mean_out():
    mean = np.broadcast_to(np.float32(shapes.PHOTO_MEAN), (1, 2, 2, 3))
    assert np.abs(shapes.normalise(mean)).max() < 1e-6
