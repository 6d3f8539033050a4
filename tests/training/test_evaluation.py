"""`zoo.evaluate`: the same figures for every batch size; the recipe's loss and seed."""

import numpy as np
import pytest

import zoo
from zoo import data as datasets
from zoo.errors import ConfigError
from zoo.spec.recipe import Recipe

MLP = {"in_features": 30, "hidden": (4,), "num_classes": 2, "dtype": "float64"}


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_the_batch_size_changes_nothing(backend):
    model = zoo.build("mlp", backend, **MLP)
    whole = zoo.evaluate(model, "breast_cancer")
    assert whole.keys() == {"loss", "accuracy"}
    for size in (1, 50, 113):  # of 113 test examples: one each, a rest of 13, all
        parts = zoo.evaluate(model, "breast_cancer", batch_size=size)
        assert parts["accuracy"] == whole["accuracy"]
        assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-12)


def test_the_loss_is_the_recipes():
    model = zoo.build("mlp", **MLP)
    random = np.random.default_rng(0)
    inputs = random.normal(size=(9, 30))
    targets = random.normal(size=(9, 2))
    result = zoo.evaluate(model, (inputs, targets), recipe=Recipe(loss="mse"))
    error = zoo.predict(model, inputs) - targets
    assert result["loss"] == pytest.approx(np.mean(error**2), rel=1e-12)
    smooth, binary = Recipe(label_smoothing=0.1), zoo.build("xor_mlp")
    with pytest.raises(ConfigError, match="label_smoothing"):
        zoo.evaluate(binary, (inputs, targets), recipe=smooth)


def test_the_seed_of_the_split_is_the_recipes():
    model = zoo.build("mlp", **MLP)
    results = []
    for seed in (0, 1):
        result = zoo.evaluate(model, "breast_cancer", recipe=Recipe(seed=seed))
        split = datasets.load("breast_cancer", model.config, seed=seed)
        assert zoo.evaluate(model, split) == result
        results.append(result["loss"])
    assert results[0] != results[1]
