"""What all configs share: values, names of twins, and their inputs' dtypes."""

import json
from dataclasses import dataclass

import pytest

import zoo
from zoo.configs._base import Config, Input
from zoo.configs.mlp import MLPConfig
from zoo.configs.unet import UNetConfig
from zoo.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class GateConfig(Config):
    widths: tuple[int, ...] = (3, 2)

    def validate(self):
        self._widths("widths")


def test_lists_become_tuples_and_values_are_validated():
    assert GateConfig(widths=[5, 4]).widths == (5, 4)
    with pytest.raises(ConfigError, match="widths must be at least 1 positive"):
        GateConfig(widths=[])
    with pytest.raises(ConfigError, match="initializer must be one of"):
        GateConfig(initializer="he-man")


@pytest.mark.parametrize("name", zoo.list_models())
def test_configs_go_through_json(name):
    config = zoo.config(name)
    values = json.loads(json.dumps(config.to_dict()))
    again = type(config).from_dict(values)
    assert again == config
    assert hash(again) == hash(config)
    with pytest.raises(ConfigError, match="has no field 'witdh'"):
        type(config).from_dict({**values, "witdh": 3})


def test_a_twin_has_the_place_and_the_name_of_its_config():
    assert UNetConfig.twin("jax") == ("zoo.jax.unet", "UNet")
    assert UNetConfig.twin("tf") == ("zoo.tf.unet", "UNet")


def test_the_scheme_follows_the_activation_unless_given():
    assert MLPConfig(activation="relu").scheme == "he"
    assert MLPConfig(activation="tanh").scheme == "xavier"
    assert MLPConfig(activation="selu").scheme == "lecun"
    assert MLPConfig(activation="tanh", initializer="torch").scheme == "torch"
    assert GateConfig().scheme == "he"


def test_dtypes_of_inputs():
    kinds = ("real", "token", "length", "mask", "time")
    found = [Input("x", (3,), kind).dtype for kind in kinds]
    assert found == ["float32", "int32", "int32", "bool", "float32"]


def test_what_a_config_need_not_define():
    config = GateConfig()
    assert config.loss == "cross_entropy"
    assert config.small() is config
    assert (config.work(), config.init_rules()) == ((), ())
    with pytest.raises(NotImplementedError):
        config.inputs()
