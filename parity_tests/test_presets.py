"""Every preset, every backend: the ladder, and weights that cross bit by bit."""

import numpy as np
import pytest

import zoo
from zoo.registry import BACKENDS

# Small forms -> the presets that have them: resnet18 and resnet34 are one network then.
SMALL = {}
for _name in zoo.list_models():
    SMALL.setdefault(zoo.config(_name).small(), []).append(_name)
CASES = [pytest.param(config, id="+".join(names)) for config, names in SMALL.items()]


@pytest.mark.parametrize("config", CASES)
def test_presets_climb_the_whole_ladder(config):
    report = zoo.check(config, batch=3)
    assert report.ok, str(report)
    assert set(report.backends) == set(BACKENDS)


@pytest.mark.parametrize("config", CASES)
def test_weights_cross_all_backends_bit_by_bit(config):
    model = zoo.build(config, "torch", seed=7)
    there = zoo.convert(zoo.convert(model, "tf"), "jax")
    back = zoo.convert(there, "torch")
    before, after = zoo.state(model), zoo.state(back)
    assert list(before) == list(after)
    for key in before:
        assert np.array_equal(before[key], after[key]), key
    assert zoo.count_parameters(model) == zoo.count_parameters(there)


@pytest.mark.parametrize("name", ["resnet50", "vgg11", "vit_b_16"])
def test_full_size(name, optimised):
    rungs = ("names", "shapes", "counts", "initial weights", "forward")
    report = zoo.check(name, batch=1, rungs=rungs)
    assert report.ok, str(report)
