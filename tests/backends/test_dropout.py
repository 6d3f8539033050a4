"""Dropout: one mask for all backends, or a function of the key; all is put back."""

import contextlib
import threading

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from flax import nnx
from torch import nn

import zoo
from tests.representatives import inputs
from tests.spec.shares import KEY, share
from zoo.jax import _dropout as jax_dropout
from zoo.registry import get_backend
from zoo.spec import masks
from zoo.tf import _dropout as tf_dropout
from zoo.torch import _dropout as torch_dropout

# ----------------------------------------------------------------------- the backends


def drop_torch(rate, x, key, first_row, kind="counted"):
    layer = nn.Dropout(rate)
    x = torch.from_numpy(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x)
    with getattr(torch_dropout, kind)(layer, key, first_row):
        outs = [layer(x).numpy() for _ in range(2)]
    return [y.transpose(0, 2, 3, 1) if y.ndim == 4 else y for y in outs]


def drop_tf(rate, x, key, first_row, kind="counted"):
    layer = keras.layers.Dropout(rate, dtype=str(x.dtype))

    @tf.function
    def run(key, first_row):
        with getattr(tf_dropout, kind)(layer, key, first_row):
            return [layer(x, training=True) for _ in range(2)]

    return [y.numpy() for y in run(tf.constant(key, tf.uint32), tf.constant(first_row))]


def drop_jax(rate, x, key, first_row, kind="counted"):
    @jax.jit
    def run(key, first_row):
        layer = nnx.Dropout(rate)
        with getattr(jax_dropout, kind)(layer, key, first_row):
            return [layer(jnp.asarray(x)) for _ in range(2)]

    return [np.asarray(y) for y in run(np.uint32(key), first_row)]


DROPS = {"torch": drop_torch, "tf": drop_tf, "jax": drop_jax}


@pytest.mark.parametrize("backend", DROPS)
@pytest.mark.parametrize("dtype", ("float32", "float16"))
@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 5), (3, 2, 4, 5)])
def test_the_bits_are_the_reference_s(backend, shape, dtype):
    x = np.ones(shape, dtype)
    for key in (0, KEY, masks.WORD - 1):
        for call, y in enumerate(DROPS[backend](0.3, x, key, 9)):
            kept = masks.keep(key, "", shape, 0.3, first_row=9, call=call)
            assert y.dtype == dtype and ((y != 0) == kept).all()
            np.testing.assert_allclose(y[kept], 1 / 0.7, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("backend", DROPS)
def test_seeded_dropout_is_a_function_of_key_and_rows(backend):
    x = np.ones((8, 50), np.float32)

    def run(key, row):
        return np.stack(DROPS[backend](0.3, x, key, row, "seeded"))

    y = run(KEY, 0)
    assert abs(share(y != 0, 0.3)) < 5
    assert (run(KEY, 0) == y).all()
    for other in (y[::-1], run(KEY + 1, 0), run(KEY, 8)):
        assert (other != y).any()


@pytest.mark.parametrize("name", ("gpt", "sentiment_lstm"))
def test_seeded_dropout_in_torch_s_fused_kernels(name):
    model = zoo.build(zoo.config(name, dropout=0.3).small()).train()
    xs = [torch.from_numpy(x).long() for x in inputs(model)[:1]]

    def run(key):
        with torch_dropout.seeded(model, key):
            return model(*xs).detach()

    assert torch.equal(run(KEY), run(KEY))
    assert not torch.allclose(run(KEY), run(KEY + 1))


def pass_torch(model, xs, first_row=0, learn=True):
    """Return the outputs and, with `learn`, the gradients, in training mode."""
    from zoo.torch._run import _native, _outside
    from zoo.torch._weights import collect, to_numpy

    model.train()
    with torch_dropout.counted(model, KEY, first_row):
        y = model(*(_native(x, model) for x in xs))
    if not learn:
        return _outside(y), {}
    y.backward(_native(slopes(_outside(y).shape), model))
    return _outside(y), collect(model, lambda p: to_numpy(p.grad), trainable=True)


def pass_tf(model, xs, first_row=0, learn=True):
    from zoo.tf._run import _native
    from zoo.tf._weights import collect

    @tf.function
    def forward(key, first_row, *xs):
        with tf_dropout.counted(model, key, first_row):
            return model(*xs, training=True)

    words = tf.constant(KEY, tf.uint32), tf.constant(first_row, tf.int64)
    with tf.GradientTape() as tape:
        y = forward(*words, *(_native(x, model) for x in xs))
    if not learn:
        return y.numpy(), {}
    weights = [v.value for v in model.trainable_variables]
    grads = tape.gradient(y, weights, _native(slopes(y.shape), model))
    grads = [tf.convert_to_tensor(g).numpy() for g in grads]  # embeddings' are sparse
    by_id = dict(zip(map(id, model.trainable_variables), grads))
    return y.numpy(), collect(model, lambda v: by_id[id(v)], trainable=True)


def pass_jax(model, xs, first_row=0, learn=True):
    from zoo.jax._run import _native
    from zoo.jax._weights import read

    model.train()
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def run(params, key, first_row, xs):
        def forward(params):
            live = nnx.merge(graph, params, rest, copy=True)
            with jax_dropout.counted(live, key, first_row):
                return live(*xs)

        if not learn:
            return forward(params), params
        y, back = jax.vjp(forward, params)
        return y, back(jnp.asarray(slopes(y.shape), y.dtype))[0]

    y, grads = run(params, np.uint32(KEY), first_row, [_native(x, model) for x in xs])
    found = read(nnx.merge(graph, grads, rest, copy=True))
    learned = get_backend("jax").trainable(model) if learn else ()
    return np.asarray(y), {k: v for k, v in found.items() if k in learned}


PASSES = {"torch": pass_torch, "tf": pass_tf, "jax": pass_jax}


def slopes(shape):
    return np.cos(np.arange(np.prod(shape))).reshape(shape)


def run(config, backend, xs, **kwargs):
    model = zoo.build(config, backend)
    with get_backend(backend).exact(model, "float64") as exact:
        return PASSES[backend](exact, xs, **kwargs)


NETS = (
    "mlp", "mnist_cnn", "unet", "self_attention", "gpt", "vit", "gru_2x256",
    "sentiment_lstm", "transformer_encoder",
)  # fmt: skip
CASES = [(name, 1, True) for name in NETS]
CASES += [("sentiment_lstm", 2, True), ("transformer_encoder", 2, True)]
# XLA compiles the backward passes of these for most of a minute.
CASES += [("vgg11", 1, False), ("resnet18", 1, False)]
CASES.append(pytest.param("googlenet", 1, False, marks=pytest.mark.slow))


@pytest.mark.parametrize("name, inputs_given, learn", CASES)
def test_networks_with_dropout_agree(name, inputs_given, learn):
    config = zoo.config(name, dropout=0.3).small()
    xs = inputs(config, batch=3)[:inputs_given]
    (y, grads), *others = (run(config, b, xs, learn=learn) for b in PASSES)
    plain, _ = run(config.override(dropout=0.0), "torch", xs, learn=False)
    assert np.abs(plain - y).max() > 1e-3 * np.abs(y).max()  # something fell
    for other, g in others:
        assert np.abs(other - y).max() <= 1e-10 * np.abs(y).max()
        assert g.keys() == grads.keys()
        scale = max((np.abs(a).max() for a in grads.values()), default=0)
        assert all(np.abs(g[k] - grads[k]).max() <= 1e-10 * scale for k in g)


@pytest.mark.parametrize("name", ("gpt", "sentiment_lstm"))
@pytest.mark.parametrize("backend", PASSES)
def test_workers_that_share_a_batch_drop_what_one_worker_drops(name, backend):
    config = zoo.config(name, dropout=0.3).small()
    xs = inputs(config, batch=5)
    whole, _ = run(config, backend, xs, learn=False)
    rest = [x[3:] for x in xs]
    part, _ = run(config, backend, rest, first_row=3, learn=False)
    np.testing.assert_allclose(part, whole[3:], rtol=0, atol=1e-12)


# -------------------------------------------------------- what users have stays theirs


def fail_inside(kind, model, check):
    """Leave the context by an error, after the check."""
    with contextlib.suppress(KeyboardInterrupt), kind(model, KEY):
        check()
        raise KeyboardInterrupt


def test_torch_is_put_back():
    model = zoo.build("sentiment_lstm", dropout=0.3, vocabulary=9, hidden_size=4)
    stand = [(type(m), sorted(vars(m))) for m in model.modules()]
    for kind in (torch_dropout.counted, torch_dropout.seeded):
        fail_inside(kind, model, lambda: None)
        assert [(type(m), sorted(vars(m))) for m in model.modules()] == stand
    before = torch.get_rng_state()
    with torch_dropout.seeded(model, KEY):
        torch.rand(3)
    assert (torch.get_rng_state() == before).all()


def test_torch_may_nest():
    layer, x = nn.Dropout(0.5), torch.ones(4, 6)
    with torch_dropout.counted(layer, 1):
        with torch_dropout.counted(layer, 2):
            inner = layer(x)
        outer = layer(x)
    assert ((inner.numpy() != 0) == masks.keep(2, "", (4, 6), 0.5)).all()
    assert ((outer.numpy() != 0) == masks.keep(1, "", (4, 6), 0.5)).all()


def test_a_compiled_torch_model_takes_a_new_key_without_compiling_again():
    net = nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.3), nn.ReLU(), nn.Dropout(0.5))
    torch.compiler.reset()
    seen = []
    compiled = torch.compile(
        net, backend=lambda graph, _: seen.append(graph) or graph, fullgraph=True
    )
    x = torch.randn(4, 6)
    for step in range(4):
        key = masks.step_key(0, step)
        with torch_dropout.counted(net, key, step):
            y = compiled(x)
        with torch_dropout.counted(net, key, step):
            torch.testing.assert_close(y, net(x))
    assert len(seen) == 1


def test_keras_is_put_back_and_its_seeds_are_not_touched():
    layer, call = keras.layers.Dropout(0.5), keras.layers.Dropout.call
    other, x = keras.layers.Dropout(0.5, seed=3), tf.ones((4, 50))
    seed = layer.seed_generator.state.numpy().copy()
    alone = keras.layers.Dropout(0.5, seed=3)(x, training=True)

    def check():
        y = layer(x, training=True)
        assert 0 < (y.numpy() == 0).mean() < 1
        assert (layer(x, training=False).numpy() == 1).all()

    for kind in (tf_dropout.counted, tf_dropout.seeded):
        fail_inside(kind, layer, check)
        assert keras.layers.Dropout.call is call
    with tf_dropout.counted(layer, KEY):
        assert (other(x, training=True).numpy() == alone.numpy()).all()
    assert (layer.seed_generator.state.numpy() == seed).all()


def test_keras_replicas_that_take_turns_keep_their_own_counts():
    """MirroredStrategy changes threads in the middle of a pass, at every sync."""
    layer, x = keras.layers.Dropout(0.5), tf.ones((4, 6))
    call, turn, found = keras.layers.Dropout.call, threading.Barrier(2), {}

    def replica(row):
        turn.wait(20)
        with tf_dropout.counted(layer, KEY, row):
            turn.wait(20)
            first = layer(x, training=True)
            turn.wait(20)
            if row:  # the first to enter leaves first
                turn.wait(20)
            found[row] = first, layer(x, training=True)
        if not row:
            turn.wait(20)

    threads = [threading.Thread(target=replica, args=(row,)) for row in (0, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for row in (0, 4):
        for i, y in enumerate(found[row]):
            kept = masks.keep(KEY, "", (4, 6), 0.5, first_row=row, call=i)
            assert ((y.numpy() != 0) == kept).all(), (row, i)
    assert keras.layers.Dropout.call is call


def test_flax_is_put_back_and_its_streams_are_not_touched():
    layer, call = nnx.Dropout(0.5, rngs=nnx.Rngs(0)), nnx.Dropout.__call__
    other, x = nnx.Dropout(0.5, rngs=nnx.Rngs(1)), jnp.ones((4, 50))
    alone = nnx.Dropout(0.5, rngs=nnx.Rngs(1))(x)

    def check():
        assert 0 < (layer(x) == 0).mean() < 1
        assert (layer(x, deterministic=True) == 1).all()

    for kind in (jax_dropout.counted, jax_dropout.seeded):
        fail_inside(kind, layer, check)
        assert nnx.Dropout.__call__ is call
    with jax_dropout.counted(layer, KEY):
        assert (other(x) == alone).all()
    assert layer.rngs.count[...] == 0


def test_a_traced_step_takes_a_new_key_without_a_new_trace():
    layers = {"tf": keras.layers.Dropout(0.5), "jax": nnx.Dropout(0.5)}
    traces = []

    @tf.function
    def in_tf(key, row):
        traces.append("tf")
        with tf_dropout.counted(layers["tf"], key, row):
            return layers["tf"](tf.ones((3, 5)), training=True)

    @jax.jit
    def in_jax(key, row):
        traces.append("jax")
        with jax_dropout.counted(layers["jax"], key, row):
            return layers["jax"](jnp.ones((3, 5)))

    for step in range(3):
        key = masks.step_key(5, step)
        kept = masks.keep(key, "", (3, 5), 0.5, first_row=step)
        y = in_tf(tf.constant(key, tf.uint32), tf.constant(step, tf.int64))
        assert ((y.numpy() != 0) == kept).all()
        assert ((np.asarray(in_jax(np.uint32(key), step)) != 0) == kept).all()
    assert traces == ["tf", "jax"]
