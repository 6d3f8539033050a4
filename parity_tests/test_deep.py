"""Deeper than ten blocks: names with two digits sort as text, 10 before 2.

`nnx.Dict` is re-sorted by split and merge, silently; a network of up to ten blocks
does not show it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import zoo

DEEP = {
    "mlp": {"hidden": (6,) * 12, "activation": "tanh"},
    "rnn": {"num_layers": 11, "cell": "rnn"},
    "lstm": {"num_layers": 11, "bidirectional": True},
    "gru": {"num_layers": 11},
    "transformer_encoder": {"layers": 12},
    "gpt": {"layers": 12},
    "vit": {"layers": 12},
    "resnet20": {"depths": (11, 1)},
    "vgg19": {},  # features.0 to features.52
}
WIDTHS = {"resnet20": {"widths": (4, 8)}}


def deep(name):
    small = zoo.config(name).small()
    return small.override(**WIDTHS.get(name, {}), **DEEP[name])


@pytest.mark.parametrize("name", DEEP)
def test_deep_models_are_the_same(name):
    report = zoo.check(deep(name), batch=3, dtypes=["float64"])
    assert report.ok, str(report)


@pytest.mark.parametrize("name", ["vit", "gpt", "resnet20", "mlp"])
def test_deep_flax_models_survive_split_and_jit(name):
    model = zoo.build(deep(name), "jax")
    model.eval()
    x = jnp.asarray(zoo.example_inputs(model))
    expected = np.asarray(model(x))
    graph, state = nnx.split(model)
    merged = jax.jit(lambda s, x: nnx.merge(graph, s)(x))(state, x)
    np.testing.assert_allclose(merged, expected, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(
        nnx.jit(lambda m, x: m(x))(model, x), expected, atol=1e-4, rtol=1e-4
    )
