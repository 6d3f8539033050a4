"""Models with inputs and targets, faults to plant, and what is found."""

import numpy as np

import zoo
from zoo import explain
from zoo.files.weights import load_state, state
from zoo.models import example_targets

WIDE = dict(dtype="float64")


def case(model, count=8):
    """Return example inputs of a model, and targets of its own loss."""
    inputs = zoo.example_inputs(model, count)
    shape = zoo.predict(model, inputs).shape
    return inputs, example_targets(shape)[model.config.loss]


def same(ours, reference):
    """Return whether two arrays are equal up to float64's rounding."""
    ours, reference = np.asarray(ours), np.asarray(reference)
    assert ours.shape == reference.shape
    return np.abs(ours - reference).max() <= 1e-10 * np.abs(reference).max()


def plant(model, change):
    """Change a model's weights in place."""
    weights = {k: v.copy() for k, v in state(model).items()}
    change(weights)
    load_state(model, weights)


def findings(model, change=lambda weights: None, count=32):
    """Return what is found in a model whose weights were changed."""
    plant(model, change)
    return explain.diagnose(explain.statistics(model, *case(model, count)))
