"""Names of presets and backends, and what they stand for; no framework is needed."""

import pytest

from zoo import registry
from zoo.configs.cnn import CNNConfig
from zoo.configs.mlp import MLPConfig
from zoo.errors import ConfigError, UnknownNameError, ZooError


class Model:
    """Its class's module is what tells a backend."""

    def __init__(self, module):
        self.config = None
        self.__class__ = type("Net", (Model,), {"__module__": module})


def test_patterns_list_presets_in_order():
    found = registry.list_models("vgg1?_bn")
    assert found == ["vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]
    assert registry.list_models("nothing*") == []
    assert registry.list_models() == sorted(registry.presets())


def test_a_preset_is_looked_up_and_changed():
    assert registry.config("mlp", num_classes=3).num_classes == 3
    with pytest.raises(UnknownNameError, match="Did you mean 'unet'"):
        registry.config("unett")
    with pytest.raises(ConfigError, match="Did you mean 'hidden'"):
        registry.config("mlp", hiden=(3,))


def test_the_nearest_preset_differs_in_the_fewest_fields():
    config = registry.config("vgg11_bn", num_classes=7)
    assert registry.nearest_preset(config) == ("vgg11_bn", {"num_classes": 7})
    assert registry.nearest_preset(registry.config("gpt2")) == ("gpt2", {})


def test_a_config_is_found_by_its_key_and_nothing_else_is():
    config = MLPConfig(hidden=(3, 4))
    key = registry.config_key(config)
    assert key == "zoo.configs.mlp:MLPConfig"
    assert registry.config_from_key(key, config.to_dict()) == config
    assert registry.family_of(config) == "mlp"
    base = "zoo.configs._base:Config"
    for wrong in ("os:system", "zoo.configs.mlp:CNNConfig", "MLPConfig", base):
        with pytest.raises(ConfigError, match="no architecture"):
            registry.config_from_key(wrong, {})


@pytest.mark.parametrize(
    "name, wanted",
    [("torch", "torch"), ("pytorch", "torch"), ("keras", "tf"), ("flax", "jax")],
)
def test_backends_have_other_names(name, wanted):
    assert registry.backend_id(name) == wanted


def test_an_unknown_backend_gets_a_hint():
    with pytest.raises(UnknownNameError, match="Did you mean 'pytorch'"):
        registry.backend_id("pytroch")


def test_a_models_backend_is_known_from_its_classs_module():
    assert registry.backend_of(Model("zoo.tf.mlp")) == "tf"
    assert registry.backend_of(Model("acme.jax.gated")) == "jax"
    for module in ("torch.nn", "jax", "zoo.torch"):
        with pytest.raises(ZooError, match="Net is not a model of the zoo"):
            registry.backend_of(Model(module))


def test_models_of_one_backend_are_numbered():
    a, b, c = Model("zoo.jax.mlp"), Model("zoo.torch.mlp"), Model("zoo.jax.mlp")
    assert registry.labelled([a, b, c]) == {"jax#1": a, "torch": b, "jax#2": c}


def test_a_twin_is_the_class_of_the_same_name():
    found = registry.twin(CNNConfig(), "torch")
    assert (found.__module__, found.__name__) == ("zoo.torch.cnn", "CNN")
