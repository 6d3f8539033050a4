"""The loops that courses teach are one and the same run."""

import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from zoo.spec.recipe import Recipe
from zoo.training.fit import fit

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(path.name for path in FOLDER.glob("*.py"))
STEPS = 30  # beyond the first epoch, with its short last batch


@pytest.fixture(autouse=True)
def _floatx():
    """Give Keras its own precision back."""
    kept = keras.config.floatx()
    yield
    keras.config.set_floatx(kept)


def losses(name, dtype):
    return np.array(runpy.run_path(str(FOLDER / name))["losses"](STEPS, dtype))


@pytest.fixture(scope="module")
def torch_losses():
    return losses("torch_loop.py", "float64")


def test_these_are_the_loops():
    assert EXAMPLES == [
        "jax_grad_jit_vmap.py",
        "keras_fit.py",
        "keras_gradient_tape.py",
        "torch_loop.py",
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_loops_agree(name, torch_losses):
    found = losses(name, "float64")
    assert len(found) == STEPS and found[-1] < 0.75 * found[0]
    assert abs(found - torch_losses).max() < 1e-10


@pytest.mark.parametrize("name", EXAMPLES)
def test_in_single_precision_they_agree_to_rounding(name, torch_losses):
    found = losses(name, "float32")
    error = abs(found - torch_losses).max()
    assert 1e-10 < error < 1e-5, "0 would be float64 in disguise"


@pytest.mark.filterwarnings("ignore:switched JAX to 64 bits")
@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_fit_is_the_same_run(backend, torch_losses):
    model = zoo.build("mlp", backend, in_features=64, hidden=(32,), dtype="float64")
    recipe = Recipe(optimizer="sgd", lr=0.125, batch_size=64, steps=STEPS)
    found = fit(model, "digits", recipe).losses
    assert found.shape == (STEPS,) and abs(found - torch_losses).max() < 1e-10
