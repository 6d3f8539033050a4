"""The embedded data sets: digits, measurements and scenes."""

import numpy as np

from tests.data.loading import everything, loaded
from zoo import data as datasets
from zoo.configs.attention import ViTConfig
from zoo.configs.cnn import CNNConfig
from zoo.configs.mlp import MLPConfig
from zoo.configs.rnn import RecurrentNetConfig
from zoo.configs.unet import UNetConfig
from zoo.data import scikit, shapes
from zoo.data.splits import stratified

# Digits, measurements


def test_digits_as_images_are_those_of_scikit_learn():
    found = loaded("digits", CNNConfig())
    assert (len(found.train), len(found.test)) == (1438, 359)
    images, labels = scikit.digits()
    train, test = stratified(labels, 0)
    for split, part in ((found.train, train), (found.test, test)):
        batch = everything(split)
        assert np.array_equal(batch.inputs[0], shapes.as_images(images[part], 28, 28))
        assert np.array_equal(batch.targets, labels[part])
    assert found.task == "classify"
    assert found.classes == tuple("0123456789")
    assert "writers" in found.notes["remark"]
    assert len(found.notes["sha256"]) == 64


def test_digits_in_every_form():
    images, labels = scikit.digits()
    ink = images[stratified(labels, 0)[0]][:5]

    def first(config, **options):
        return loaded("digits", config, **options).train.take(np.arange(5)).inputs[0]

    assert np.array_equal(first(MLPConfig()), shapes.as_vectors(ink, 784))
    rows = RecurrentNetConfig(in_features=8, length=8)
    assert np.array_equal(first(rows), ink)
    tokens = RecurrentNetConfig(vocabulary=99, length=100)
    assert np.array_equal(first(tokens), shapes.as_tokens(ink))
    few = datasets.load("digits", MLPConfig(in_features=20)).train
    assert np.array_equal(few.take(np.arange(5)).inputs[0], shapes.as_vectors(ink, 20))
    colour = datasets.load("digits", ViTConfig()).train.take(np.arange(5)).inputs[0]
    assert np.allclose(colour, shapes.normalise(shapes.as_images(ink, 32, 32, 3)))


def test_measurements_are_standardised_by_the_training_part():
    found = loaded("breast_cancer", MLPConfig(num_classes=2))
    x = everything(found.train).inputs[0].astype(float)
    assert np.abs(x.mean(0)).max() < 1e-6
    assert np.abs(x.std(0) - 1).max() < 1e-6
    assert np.abs(everything(found.test).inputs[0].mean(0)).max() > 0.01
    assert found.classes == ("malignant", "benign")


# Scenes


def test_scenes_are_functions_of_seed_and_index():
    found, again = (loaded("digit_scenes", UNetConfig()) for _ in range(2))
    assert (len(found.train), len(found.test)) == (2000, 400)
    some = np.array([1999, 7, 7, 0])
    images, masks = found.train.take(some).inputs[0], found.train.take(some).targets
    again.train.take(np.arange(50))  # what was made before does not matter
    assert np.array_equal(again.train.take(some).inputs[0], images)
    other = loaded("digit_scenes", UNetConfig(), seed=1).train.take(some)
    assert not np.array_equal(other.inputs[0], images)
    assert np.array_equal(images[1], images[2])
    assert images.shape == (4, 64, 64, 3)
    assert masks.shape == (4, 64, 64, 1)


def test_scenes_show_white_digits_where_their_masks_are():
    batch = loaded("digit_scenes", UNetConfig()).train.take(np.arange(100))
    images, masks = batch.inputs[0], batch.targets[..., 0]
    assert set(np.unique(masks)) == {0, 1}
    shares = masks.mean((1, 2))
    assert shares.min() > 0.02
    assert shares.max() < 0.35
    white = shapes.normalise(np.ones((1, 1, 3), np.float32))[0, 0]
    pixels = images * shapes.PHOTO_STD + shapes.PHOTO_MEAN
    assert (pixels[masks == 1] > 0.5 - 1 / 255).all()  # more than half is ink
    assert np.allclose(images[masks == 1].max(0), white, atol=1e-5)


def test_scenes_for_two_logits_have_ids():
    batch = loaded("digit_scenes", UNetConfig(num_classes=2)).test.take(np.arange(3))
    assert batch.targets.shape == (3, 64, 64)
    assert batch.targets.dtype == np.int32
