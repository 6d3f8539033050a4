"""Which data set fits which config, what is changed for it, and its targets."""

import json

import numpy as np
import pytest

import zoo
from tests.data.loading import EMBEDDED, loaded, one_line
from zoo import data as datasets
from zoo.configs.attention import GPTConfig
from zoo.configs.cnn import CNNConfig
from zoo.configs.mlp import MLPConfig
from zoo.configs.resnet import ResNetConfig
from zoo.configs.rnn import RecurrentNetConfig
from zoo.configs.unet import UNetConfig
from zoo.data import text
from zoo.errors import ConfigError
from zoo.models import as_inputs


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


def test_targets_have_the_form_of_the_loss():
    cnn = CNNConfig()
    ids = loaded("digits", cnn).test.take(np.arange(7)).targets
    one_hot = datasets.load("digits", cnn, loss="mse").test.take(np.arange(7)).targets
    assert np.array_equal(one_hot, np.eye(10)[ids])
    neuron = loaded("breast_cancer", MLPConfig(num_classes=1)).test
    assert neuron.take(np.arange(7)).targets.shape == (7, 1)
