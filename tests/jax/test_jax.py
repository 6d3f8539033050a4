"""The Flax twins survive what a JAX user does: split/merge, jit, grad, vmap."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import zoo
from tests.representatives import REPRESENTATIVES, inputs, small
from zoo.spec.recipe import Recipe


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_a_float32_model_is_one_where_jax_runs_in_64_bits_too(name):
    with jax.enable_x64(True):
        model = small(name, "jax")
    kinds = {
        str(v.get_value().dtype)
        for _, v in nnx.iter_graph(model)
        if isinstance(v, (nnx.Param, nnx.BatchStat))
    }
    assert kinds == {"float32"}


@pytest.mark.parametrize("name, data", [("mnist_mlp_small", "digits"), ("gpt", "text")])
def test_training_is_the_same_where_jax_runs_in_64_bits(name, data):
    """Dropout's draws included: an earlier float64 model must not change them."""
    losses = []
    for wide in (False, True):
        with jax.enable_x64(wide):
            model = zoo.build(name, "jax", dropout=0.2)
            recipe = Recipe(steps=3, batch_size=8, optimizer="adamw", ema=0.9)
            losses.append(zoo.fit(model, data, recipe).losses)
    # A mask of other draws moves a loss by more than 1e-3.
    np.testing.assert_allclose(*losses, rtol=1e-6)


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_split_merge_jit_grad_vmap(name):
    model = small(name, "jax", seed=1)
    model.eval()
    x = [jnp.asarray(v) for v in inputs(model)]
    expected = np.asarray(zoo.predict(model, inputs(model)))
    scale = max(1.0, float(abs(expected).max()))
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def call(params, *x):
        return nnx.merge(graph, params, rest)(*x)

    # jit over split state
    out = jax.jit(call)(params, *x)
    assert abs(out - expected).max() < 1e-5 * scale
    # grad, inside jit
    grads = jax.jit(jax.grad(lambda p, *x: jnp.square(call(p, *x)).mean()))(params, *x)
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))
    # vmap over examples, each a batch of one
    one = jax.vmap(lambda *x: call(params, *(v[None] for v in x))[0])
    assert abs(jax.jit(one)(*x) - expected).max() < 1e-5 * scale
    # nnx's own transforms
    assert abs(nnx.jit(lambda m, *x: m(*x))(model, *x) - expected).max() < 1e-5 * scale


def test_batch_statistics_move_under_nnx_jit():
    model = small("unet_bn", "jax")
    model.train()
    x = jnp.asarray(inputs(model)[0])

    @nnx.jit
    def step(model, x):
        return model(x)

    before = model.down[0].norm1.mean[...]
    step(model, x)
    assert not jnp.array_equal(before, model.down[0].norm1.mean[...])


def test_dropout_streams_are_live_and_differ():
    model = zoo.build("mnist_mlp", "jax")
    model.train()
    x = jnp.ones((4, 784))
    assert not jnp.array_equal(model(x), model(x))


def test_device_places_the_weights():
    """Two CPU devices, in a process of its own."""
    code = (
        "import zoo, jax\n"
        "model = zoo.build('tiny_mlp', 'jax', device='cpu:1')\n"
        "places = {d for leaf in jax.tree.leaves(model) for d in leaf.devices()}\n"
        "assert places == {jax.devices('cpu')[1]}, places\n"
        "assert zoo.predict(model, zoo.example_inputs(model)).shape == (2, 2)\n"
        "assert zoo.check('tiny_mlp', device='cpu').ok\n"
    )
    flags = "--xla_force_host_platform_device_count=2"
    env = {**os.environ, "XLA_FLAGS": flags}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
