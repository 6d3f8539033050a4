"""The start of a run: which config, which data, and from which weights."""

from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.configs.cnn import CNNConfig
from zoo.configs.mlp import MLPConfig
from zoo.errors import ConfigError
from zoo.spec.recipe import Recipe
from zoo.training import start

OLD = Path(__file__).parents[1] / "data" / "zoo-0.1.0" / "run"


def test_a_config_is_changed_to_fit_its_data():
    found = start.resolve("cnn", CNNConfig(in_channels=3), "digits")
    assert (found.data, found.weights) == ("digits", None)
    assert found.config == CNNConfig(in_channels=1)
    assert found.changed == {"in_channels": 1}


def test_what_is_set_by_hand_is_kept():
    config = CNNConfig(in_channels=3)
    found = start.resolve("cnn", config, "digits", keep=("in_channels",))
    assert (found.config, found.changed) == (config, {})


def test_without_data_the_embedded_set_that_fits_is_taken():
    assert start.resolve("unet", zoo.config("unet")).data == "digit_scenes"


def test_a_runs_weights_bring_their_config():
    preset = MLPConfig(dropout=0.25)
    found = start.resolve("mlp", preset, keep=("dropout",), init_from=OLD)
    assert found.weights.checkpoint.progress["step"] in (3, 6)
    assert (found.config.hidden, found.config.in_features) == ((4,), 30)
    assert found.config.dropout == 0.25
    assert not found.weights.foreign


def test_weights_of_another_architecture_are_refused():
    with pytest.raises(ConfigError, match="holds a MLP, and cnn is a CNN"):
        start.resolve("cnn", CNNConfig(), init_from=OLD)


def test_the_first_weights_are_the_seeds_in_the_recipes_dtype():
    found = start.Start(MLPConfig(in_features=4, hidden=(3,)), "digits", None, {})
    model = start.build(found, Recipe(seed=5, precision="float64"))
    same = zoo.build(found.config, seed=5, dtype="float64")
    assert zoo.state(model)["head.weight"].dtype == np.float64
    assert np.array_equal(
        zoo.state(model)["head.weight"], zoo.state(same)["head.weight"]
    )
