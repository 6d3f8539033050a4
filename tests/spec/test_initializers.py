"""Initial weights: which scheme a weight has, and how wide it is drawn."""

import math

import numpy as np
import pytest

from zoo.configs.mlp import MLPConfig
from zoo.spec import initializers
from zoo.spec.draws import uniform


@pytest.mark.parametrize(
    "shape, layout, wanted",
    [
        ((10, 7), "oi", (7, 10)),
        ((16, 3, 5, 5), "oi", (75, 400)),
        ((8, 4, 2, 2), "io", (8, 4)),  # kernel pixels do not count
        ((6,), "oi", (1, 6)),
    ],
)
def test_fans(shape, layout, wanted):
    assert initializers.fans(shape, layout) == wanted


@pytest.mark.parametrize(
    "name, shape, value",
    [
        ("fc.bias", (3,), 0),
        ("norm.weight", (3,), 1),
        ("norm.running_mean", (3,), 0),
        ("norm.running_var", (3,), 1),
        ("act.weight", (1,), 0.25),
    ],
)
def test_constants(name, shape, value):
    found = initializers.draw(MLPConfig(), 0, name, shape)
    assert found.dtype == np.float32
    assert found.tolist() == [value] * shape[0]


@pytest.mark.parametrize(
    "changes, variance",
    [
        ({}, 2 / 50),  # He
        ({"activation": "tanh"}, 2 / (50 + 80)),  # Xavier
        ({"activation": "selu"}, 1 / 50),  # LeCun
        ({"initializer": "torch"}, 1 / 150),
        ({"initializer": "zeros"}, 0),
    ],
)
def test_matrices_are_uniform_with_the_schemes_variance(changes, variance):
    found = initializers.draw(MLPConfig(**changes), 3, "fc.weight", (80, 50))
    wanted = math.sqrt(3 * variance) * uniform(3, "fc.weight", (80, 50))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_state_is_drawn_weight_by_weight():
    shapes = {"b.weight": (4, 3), "a.weight": (4, 3), "a.bias": (4,)}
    found = initializers.initial_state(MLPConfig(), shapes, 7)
    assert list(found) == list(shapes)
    assert not np.array_equal(found["a.weight"], found["b.weight"])
    alone = initializers.initial_state(MLPConfig(), {"a.weight": (4, 3)}, 7)
    assert np.array_equal(alone["a.weight"], found["a.weight"])
