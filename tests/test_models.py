"""Models built, run and traced: inputs, dtypes and devices."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import torch
from flax import nnx

import zoo
from zoo import ZooError

KINDS = {"torch": torch.nn.Module, "tf": keras.Model, "jax": nnx.Module}


@pytest.mark.parametrize(
    "name, backend",
    [("pytorch", "torch"), ("keras", "tf"), ("tensorflow", "tf"), ("flax", "jax")],
)
def test_build_returns_the_native_model(name, backend):
    model = zoo.build("tiny_mlp", backend=name)
    assert isinstance(model, KINDS[backend])
    assert zoo.backend_of(model) == backend


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_sizes_that_the_depth_does_not_divide(backend):
    model = zoo.build(zoo.config("unet").small(), backend)
    with pytest.raises(ZooError, match="divisible by 4; got 13x12"):
        zoo.predict(model, np.zeros((1, 13, 12, 3), np.float32))


@pytest.mark.parametrize(
    "inputs, words",
    [
        (np.zeros((2, 9), np.float32), "integers"),
        (np.zeros((2, 9, 4), np.int32), "(N, T)"),
        (np.full((2, 9), 50, np.int32), "in [0, 50)"),
        (np.full((2, 9), -1, np.int32), "in [0, 50)"),
        ((np.zeros((2, 9), np.int32), np.array([0, 9], np.int32)), "in [1, 9]"),
        ((np.zeros((2, 9), np.int32), np.array([9], np.int32)), "batch of 2"),
        ({"token": np.zeros((2, 9), np.int32)}, "Did you mean 'tokens'"),
        ((), "got 0 inputs"),
    ],
)
def test_wrong_inputs_get_one_line(inputs, words):
    model = zoo.build(zoo.config("sentiment_lstm").small())
    with pytest.raises(ZooError) as error:
        zoo.predict(model, inputs)
    assert words in str(error.value)


def test_a_fully_masked_row_is_refused():
    model = zoo.build(zoo.config("transformer_encoder").small())
    tokens = np.zeros((2, 7), np.int32)
    mask = np.ones((2, 7), bool)
    mask[1] = False
    with pytest.raises(ZooError, match="fully masked"):
        zoo.predict(model, (tokens, mask))


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_predict_is_in_eval_mode_and_restores_the_models_own(backend):
    model = zoo.build("mnist_mlp", backend)
    if backend == "torch":
        model.train()
        model.dropout.eval()
    x = zoo.example_inputs(model)
    again = zoo.predict(model, x)
    np.testing.assert_allclose(zoo.predict(model, x), again, rtol=1e-5, atol=1e-6)
    if backend == "torch":
        assert model.training and not model.dropout.training
    if backend == "jax":
        assert model.dropout.deterministic is False


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_trace_names_submodules_as_the_state_does(backend):
    model = zoo.build(zoo.config("unet_bn").small(), backend)
    outputs = zoo.trace(model, zoo.example_inputs(model))
    assert outputs["down.0.conv1"].shape == (2, 12, 12, 8)
    owners = {name.rpartition(".")[0] for name in zoo.state(model)}
    assert owners <= set(outputs)


def test_inputs_by_name_and_optional_ones():
    model = zoo.build(zoo.config("sentiment_lstm").small())
    tokens, lengths = zoo.example_inputs(model, batch=4)
    full = np.full(4, 9, np.int32)
    by_name = zoo.predict(model, {"tokens": tokens, "lengths": full})
    assert np.allclose(by_name, zoo.predict(model, tokens), atol=1e-6)
    assert lengths[0] == 9 and lengths[-1] == 1


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_native_initialisation_is_the_frameworks_own_and_seeded(backend):
    build = lambda seed: zoo.state(  # noqa: E731
        zoo.build("tiny_mlp", backend, init="native", seed=seed)
    )
    a, b, c = build(1), build(1), build(2)
    name = "head.weight"
    assert np.array_equal(a[name], b[name]) and not np.array_equal(a[name], c[name])
    assert not np.array_equal(a[name], zoo.state(zoo.build("tiny_mlp", seed=1))[name])


def test_float64_in_jax_says_once_that_it_switches_x64_on():
    code = """
        import warnings, zoo
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for _ in range(2):
                model = zoo.build("tiny_mlp", backend="jax", dtype="float64")
        said = [str(w.message) for w in said if "jax_enable_x64" in str(w.message)]
        assert len(said) == 1, said
        assert zoo.predict(model, zoo.example_inputs(model)).dtype == "float64"
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)])
    assert done.returncode == 0


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
@pytest.mark.parametrize("backend", ["torch", "tf"])
def test_other_dtypes(backend, dtype):
    model = zoo.build("tiny_mlp", backend, dtype=dtype)
    single = zoo.build("tiny_mlp", backend)
    x = zoo.example_inputs(model)
    y = zoo.predict(model, x).astype(np.float64)
    error = abs(y - zoo.predict(single, x)).max()
    assert error < {"float64": 1e-6, "bfloat16": 0.1, "float16": 0.01}[dtype]


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_device_cpu(backend):
    model = zoo.build("tiny_mlp", backend, device="cpu")
    assert zoo.predict(model, zoo.example_inputs(model)).shape == (2, 2)


def test_example_inputs_are_seeded_and_touch_the_edges():
    a = zoo.example_inputs("cnn", batch=3, seed=1)
    assert np.array_equal(a, zoo.example_inputs("cnn", batch=3, seed=1))
    assert not np.array_equal(a, zoo.example_inputs("cnn", batch=3, seed=2))
    assert (a == 0).sum() > 10 and a.min() < 0 < a.max()


def test_optional_inputs_may_be_none():
    model = zoo.build(zoo.config("sentiment_lstm").small())
    tokens, _ = zoo.example_inputs(model)
    assert np.array_equal(
        zoo.predict(model, (tokens, None)), zoo.predict(model, tokens)
    )
