"""The embedded data sets, what they fit, and one's own arrays."""

import json

import numpy as np
import pytest

import zoo
from zoo import data as datasets
from zoo.configs.attention import GPTConfig, ViTConfig
from zoo.configs.cnn import CNNConfig
from zoo.configs.mlp import MLPConfig
from zoo.configs.resnet import ResNetConfig
from zoo.configs.rnn import RecurrentNetConfig
from zoo.configs.unet import UNetConfig
from zoo.data import scikit, shapes, text
from zoo.data.batches import Batches
from zoo.data.splits import stratified
from zoo.errors import ConfigError, InputError, UnknownNameError, ZooError
from zoo.models import as_inputs

EMBEDDED = ("breast_cancer", "digit_scenes", "digits", "text")


def loaded(name, config, **options):
    return datasets.load(
        name, config.override(**datasets.overrides(name, config)), **options
    )


def everything(split):
    return split.take(np.arange(len(split)))


def one_line(caught, *words):
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


# What fits what


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("preset", zoo.list_models())
def test_every_preset_and_data_set_fit_or_say_why_not(name, preset):
    config = zoo.config(preset).small()
    told = reason(name, config)
    if told:
        assert name in told
        assert "\n" not in told
        return
    config = config.override(**datasets.overrides(name, config))
    assert datasets.overrides(name, config) == {}
    found = datasets.load(name, config)
    for split in (found.train, found.test):
        batch = split.take(np.array([3, 0]))
        as_inputs(config, batch.inputs)
        assert batch.size == 2
    ids = config.loss == "cross_entropy"
    assert batch.targets.dtype == (np.int32 if ids else np.float32)
    json.dumps(found.notes)


def reason(name, config):
    """Return why a data set does not fit a config, or nothing."""
    try:
        datasets.overrides(name, config)
    except ConfigError as error:
        return str(error)
    return ""


def test_enough_presets_learn_each_data_set():
    presets = [zoo.config(preset) for preset in zoo.list_models()]
    fits = {name: sum(not reason(name, c) for c in presets) for name in EMBEDDED}
    assert fits["digits"] > 40
    assert fits["breast_cancer"] == 8
    assert fits["digit_scenes"] == 4
    assert fits["text"] >= 6


@pytest.mark.parametrize(
    "name, config, wanted",
    [
        ("digits", CNNConfig(), {}),
        ("digits", CNNConfig(in_channels=3), {"in_channels": 1}),
        ("digits", MLPConfig(in_features=20), {"in_features": 64}),
        ("digits", RecurrentNetConfig(output="sequence"), {"output": "last"}),
        ("breast_cancer", MLPConfig(), {"in_features": 30, "num_classes": 2}),
        ("breast_cancer", MLPConfig(num_classes=1), {"in_features": 30}),
        ("digit_scenes", UNetConfig(), {}),
        ("digit_scenes", UNetConfig(num_classes=5), {"num_classes": 1}),
        ("digit_scenes", UNetConfig(image_size=32), {"image_size": 64}),
        ("mnist", ResNetConfig(), {"num_classes": 10, "in_channels": 1}),
        ("cifar10", CNNConfig(), {"in_channels": 3, "image_size": 32}),
        ("cifar10", MLPConfig(), {"in_features": 3072}),
        ("cifar10", RecurrentNetConfig(in_features=8), {"in_features": 96}),
        ("text", GPTConfig(vocabulary=7), {"vocabulary": 103}),
    ],
)  # fmt: skip
def test_overrides(name, config, wanted):
    if name == "text":
        wanted = {"vocabulary": len(text.text().alphabet.characters)}
    assert datasets.overrides(name, config) == wanted


@pytest.mark.parametrize(
    "name, config, words",
    [
        ("digits", UNetConfig(), "UNet"),
        ("digit_scenes", CNNConfig(), "unet_bn"),
        ("digit_scenes", UNetConfig(time_width=8), "time steps"),
        ("text", CNNConfig(), "gpt"),
        ("text", RecurrentNetConfig(vocabulary=9, bidirectional=True), "gpt"),
        ("digits", GPTConfig(), "cnn"),
        ("breast_cancer", CNNConfig(), "tabular_mlp"),
        ("mnist", RecurrentNetConfig(vocabulary=9), "tokens"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(name, config, words):
    with pytest.raises(ConfigError) as caught:
        datasets.overrides(name, config)
    one_line(caught, name, words)


@pytest.mark.parametrize(
    "name, config, options, words",
    [
        ("digits", CNNConfig(num_classes=3), {}, "num_classes=10"),
        ("breast_cancer", MLPConfig(num_classes=1), {"loss": "cross_entropy"}, "bce"),
        ("text", GPTConfig(vocabulary=7), {}, "vocabulary"),
        ("digits", ResNetConfig(in_channels=4), {"seed": -1}, "seed"),
        ("digit_scenes", UNetConfig(in_channels=2), {}, "in_channels=3"),
    ],
)  # fmt: skip
def test_a_config_that_was_not_overridden_is_refused(name, config, options, words):
    with pytest.raises(ConfigError) as caught:
        datasets.load(name, config, **options)
    one_line(caught, words)


def test_unknown_names_get_a_hint():
    with pytest.raises(UnknownNameError, match="Did you mean 'digits'"):
        datasets.load("digit", CNNConfig())
    with pytest.raises(UnknownNameError, match="folder:PATH"):
        datasets.overrides("folder:", CNNConfig())
    with pytest.raises(UnknownNameError, match="bce"):
        datasets.load("digits", CNNConfig(), loss="hinge")
    with pytest.raises(InputError, match="takes no path"):
        datasets.load("digits", CNNConfig(), path="x")
    assert set(EMBEDDED) < set(datasets.names())


# Digits, measurements


def test_the_split_is_stratified_stable_and_seeded():
    labels = np.repeat([0, 1, 2], [50, 30, 1])
    train, test = stratified(labels, 0)
    assert sorted([*train, *test]) == list(range(81))
    assert np.bincount(labels[test], minlength=3).tolist() == [10, 6, 0]
    assert np.array_equal(stratified(labels, 0)[1], test)
    assert not np.array_equal(stratified(labels, 1)[1], test)
    assert test[:4].tolist() == [1, 9, 10, 15]  # for ever: checkpoints go on with it


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


def test_large_images_are_fitted_when_taken_and_are_the_same(monkeypatch):
    at_once = everything(loaded("digits", CNNConfig()).test)
    monkeypatch.setattr("zoo.data.splits.FITTED_ONCE", 0)
    later = everything(loaded("digits", CNNConfig()).test)
    assert np.array_equal(at_once.inputs[0], later.inputs[0])
    assert np.array_equal(at_once.targets, later.targets)


def test_targets_have_the_form_of_the_loss():
    cnn = CNNConfig()
    ids = loaded("digits", cnn).test.take(np.arange(7)).targets
    one_hot = datasets.load("digits", cnn, loss="mse").test.take(np.arange(7)).targets
    assert np.array_equal(one_hot, np.eye(10)[ids])
    neuron = loaded("breast_cancer", MLPConfig(num_classes=1)).test
    assert neuron.take(np.arange(7)).targets.shape == (7, 1)


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


# Text


def test_text_windows_and_their_next_characters():
    config = GPTConfig(context=40, length=20)
    found = loaded("text", config)
    whole = text.text()
    x, y = everything(found.test)[0][0], everything(found.test).targets
    assert x.shape == y.shape == (len(found.test), 40)
    assert np.array_equal(x.reshape(-1), whole.test[: x.size])
    assert np.array_equal(y.reshape(-1), whole.test[1 : x.size + 1])
    batch = found.train.take(np.arange(20))
    assert np.array_equal(batch.inputs[0][:, 1:], batch.targets[:, :-1])
    train = whole.alphabet.decode(whole.train)
    assert all(whole.alphabet.decode(row) in train for row in batch.inputs[0])
    other = loaded("text", config, seed=1).train.take(np.arange(20))
    assert not np.array_equal(other.inputs[0], batch.inputs[0])
    assert len(found.notes["sha256"]) == 64
    recurrent = loaded("text", RecurrentNetConfig(vocabulary=9, length=12)).test
    assert recurrent.take(np.arange(2)).targets.shape == (2, 12)


def test_the_alphabet_goes_there_and_back():
    alphabet = text.Alphabet("\nabc")
    assert alphabet.encode("cab\n").tolist() == [3, 1, 2, 0]
    assert alphabet.decode(np.array([3, 1, 2, 0])) == "cab\n"
    with pytest.raises(InputError, match="'z'"):
        alphabet.encode("az")
    with pytest.raises(InputError, match="got -1"):
        alphabet.decode([-1])


def test_bigram_entropy_by_hand():
    train, test = np.array([0, 1, 0, 1, 1, 2]), np.array([0, 1, 2, 2])
    # after 0: 1 twice; after 1: 0, 1 and 2 once each; after 2: nothing
    wanted = -np.log([(2 + 1) / (2 + 3), (1 + 1) / (3 + 3), 1 / 3]).mean()
    assert text.bigram_entropy(train, test, 3) == pytest.approx(wanted)
    found = loaded("text", GPTConfig()).notes["bigram_entropy"]
    assert 2 < found < 3


# One's own arrays


@pytest.mark.parametrize(
    "targets, task, dtype",
    [
        (np.arange(6), "classify", np.int32),
        (np.ones((6, 4), np.uint8), "language", np.int32),
        (np.ones((6, 4, 4), int), "segment", np.int32),
        (np.ones((6, 4, 4, 1)), "segment", np.float64),
        (np.ones((6, 1), bool), "classify", np.float32),
        (np.linspace(0, 1, 6)[:, None], "regress", np.float64),
    ],
)
def test_own_arrays(targets, task, dtype):
    x = np.ones((6, 3))
    found = datasets.from_arrays(x, targets, test=((x[:2],), targets[:2]))
    assert found.task == task
    assert (len(found.train), len(found.test)) == (6, 2)
    batch = Batches(found.train, 4, seed=0).batch(0)
    assert batch.targets.dtype == dtype
    assert batch.inputs[0].dtype == np.float64
    assert len(datasets.from_arrays(x, targets).test) == 0


def test_own_arrays_that_do_not_belong_together():
    for x, t in ((np.ones(3), np.ones(4)), (np.ones((0, 2)), np.ones(0)), (1.0, 2)):
        with pytest.raises(InputError, match="one length"):
            datasets.from_arrays(x, t)
    with pytest.raises(InputError, match="ids or numbers"):
        datasets.from_arrays(np.ones(2), np.array(["a", "b"]))
    assert issubclass(InputError, ZooError)
