"""The Keras twins survive what a Keras user does, on all three Keras engines."""

import json
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.representatives import REPRESENTATIVES, inputs, small


def close(a, b):
    """Return whether equal weights computed both: no processor promises equal bits."""
    return np.allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_keras_files(name, tmp_path):
    model = small(name, "tf", seed=1)
    x = inputs(model)
    before = zoo.predict(model, x)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.config == model.config
    assert close(zoo.predict(again, x), before)
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = small(name, "tf", seed=2)
    assert not close(zoo.predict(fresh, x), before)
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert close(zoo.predict(fresh, x), before)


def test_keras_files_in_float64(tmp_path):
    model = small("unet_bn", "tf", dtype="float64")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert {v.dtype for v in again.variables} == {"float64"}
    x = inputs(model)
    assert close(zoo.predict(again, x), zoo.predict(model, x))
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", ["unet_bn", "sentiment_lstm", "gpt", "resnet18"])
@pytest.mark.parametrize("jit", [False, True])
def test_tf_function(name, jit):
    model = small(name, "tf")
    x = inputs(model)
    call = tf.function(lambda *xs: model(*xs, training=False), jit_compile=jit)
    error = abs(call(*x).numpy() - zoo.predict(model, x)).max()
    assert error < 1e-5 * max(1, abs(zoo.predict(model, x)).max())


@pytest.mark.parametrize("name", ["cnn", "unet_bn", "vit"])
def test_compile_and_fit(name):
    model = small(name, "tf")
    x = inputs(model, batch=8)[0]
    shape = zoo.predict(model, x).shape
    model.compile(keras.optimizers.SGD(0.01), keras.losses.MeanSquaredError())
    history = model.fit(x, np.zeros(shape, np.float32), epochs=3, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_other_keras_engines_give_the_same_outputs(engine, tmp_path):
    """A process has one Keras engine, so this runs in its own."""
    expected = {}
    for name in REPRESENTATIVES:
        model = small(name, "torch", seed=4)
        zoo.save(model, tmp_path / f"{name}.safetensors")
        expected[name] = zoo.predict(model, inputs(model))
    code = """
        import sys, json, numpy as np, keras, zoo
        folder, names = sys.argv[1], json.loads(sys.argv[2])
        assert keras.backend.backend() == sys.argv[3]
        for name in names:
            model = zoo.load(f"{folder}/{name}.safetensors", backend="tf")
            y = zoo.predict(model, zoo.example_inputs(model))
            np.save(f"{folder}/{name}.npy", y)
            model.save(f"{folder}/{name}.keras")
            again = keras.models.load_model(f"{folder}/{name}.keras")
            assert abs(zoo.predict(again, zoo.example_inputs(model)) - y).max() < 1e-5
    """
    done = subprocess.run(
        [
            *(sys.executable, "-c", textwrap.dedent(code), str(tmp_path)),
            *(json.dumps(REPRESENTATIVES), engine),
        ],
        env={**os.environ, "KERAS_BACKEND": engine},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name, y in expected.items():
        error = abs(np.load(tmp_path / f"{name}.npy") - y).max()
        assert error <= 1e-5 * max(abs(y).max(), 1), (name, error)
