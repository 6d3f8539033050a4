"""Every preset, every backend: the ladder, and weights that cross bit by bit."""

import numpy as np
import pytest

import zoo
from zoo.registry import BACKENDS

PRESETS = zoo.list_models()


@pytest.mark.parametrize("name", PRESETS)
def test_preset_climbs_the_whole_ladder(name):
    report = zoo.check(zoo.config(name).small(), batch=3)
    assert report.ok, f"{name}\n{report}"
    assert set(report.backends) == set(BACKENDS)


@pytest.mark.parametrize("name", PRESETS)
def test_weights_cross_all_backends_bit_by_bit(name):
    model = zoo.build(zoo.config(name).small(), "torch", seed=7)
    there = zoo.convert(zoo.convert(model, "tf"), "jax")
    back = zoo.convert(there, "torch")
    before, after = zoo.state(model), zoo.state(back)
    assert list(before) == list(after)
    for key in before:
        assert np.array_equal(before[key], after[key]), key
    assert zoo.count_parameters(model) == zoo.count_parameters(there)


@pytest.mark.parametrize("name", ["resnet50", "vgg11", "vit_b_16"])
def test_full_size(name):
    rungs = ("names", "shapes", "counts", "initial weights", "forward")
    report = zoo.check(name, batch=1, rungs=rungs)
    assert report.ok, str(report)
