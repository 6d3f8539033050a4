"""The embedded data, fitted to the inputs of every preset."""

import subprocess
import sys

import numpy as np
import pytest

import zoo
from zoo.configs.mlp import MLPConfig
from zoo.configs.rnn import RecurrentNetConfig
from zoo.configs.unet import UNetConfig
from zoo.data import samples, scikit, shapes
from zoo.models import as_inputs


@pytest.fixture
def ink():
    return scikit.digits().images[:5]


def test_digits_are_ink_between_0_and_1():
    images, labels = scikit.digits()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert sorted(set(labels)) == list(range(10))
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


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


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", zoo.list_models())
def test_every_preset_gets_real_inputs(name, small):
    config = zoo.config(name)
    config = config.small() if small else config
    arrays = samples.sample_inputs(config, batch=3, seed=2)
    as_inputs(config, arrays)  # raises where they do not fit
    for spec, array in zip(config.inputs(), arrays):
        assert array.shape == (3, *spec.shape)
        assert array.dtype == spec.dtype
        assert array.flags.c_contiguous
        assert array.flags.writeable
        if spec.kind == "real":
            assert array.std()
    again = samples.sample_inputs(config, batch=3, seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, again))
    other = samples.sample_inputs(config, batch=3, seed=3)
    assert not np.array_equal(arrays[0], other[0])
    assert samples.describe(config)


def test_lengths_and_masks_end_with_the_ink():
    rows, lengths = samples.sample_inputs(zoo.config("row_lstm", length=20), batch=8)
    for row, length in zip(rows, lengths):
        assert row[length - 1].any()
        assert not row[length:].any()
    tokens, mask = samples.sample_inputs(zoo.config("transformer_encoder"), batch=8)
    assert not mask.all()
    assert not tokens[~mask].any()


def test_sample_inputs_are_whole_digits():
    images = scikit.digits().images.reshape(-1, 64)
    config = zoo.config("mlp", in_features=64)
    [vectors] = samples.sample_inputs(config, batch=6, seed=4)
    assert all((images == vector).all(1).any() for vector in vectors)


@pytest.mark.parametrize(
    "config, words",
    [
        (MLPConfig(), "digits as 784 numbers"),
        (RecurrentNetConfig(), "digits as 32x128 rows, lengths"),
        (RecurrentNetConfig(vocabulary=9), "digits as 32 tokens, lengths"),
        (UNetConfig(in_channels=1), "digits as 64x64 images"),
        (UNetConfig(time_width=8), "photographs, 64x64x3, time steps"),
    ],
)
def test_describe(config, words):
    assert samples.describe(config) == words


@pytest.mark.parametrize("library", ["sklearn", "PIL"])
def test_a_missing_library_names_the_extra(library):
    code = f"""
import sys
sys.modules[{library!r}] = None
from zoo.data import scikit
try:
    scikit.photographs()
except scikit.MissingDataError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install '.[data]'" in done.stdout
    assert "install zoo" not in done.stdout
    assert done.stdout.count("\n") == 1
