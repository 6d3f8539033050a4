"""The LR range test: the same curve in every backend, and a rate worth having."""

import numpy as np
import pytest

import zoo
from zoo.errors import ConfigError, TrainingDiverged
from zoo.registry import BACKENDS
from zoo.spec.recipe import Recipe
from zoo.training.fit import fit
from zoo.training.lr_find import lr_find

SMALL = {"in_features": 64, "hidden": (16,)}


def test_the_curve_is_the_same_in_every_backend_and_the_model_untouched():
    recipe = Recipe(batch_size=32, accumulate=2, deterministic_dropout=True)
    found = {}
    for backend in BACKENDS:
        model = zoo.build("mlp_bn_gelu", backend, dtype="float64", **SMALL)
        before = zoo.state(model)
        found[backend] = lr_find(model, "digits", recipe, steps=40, high=100.0)
        after = zoo.state(model)
        assert any("running_mean" in name for name in after)
        assert all(np.array_equal(after[name], before[name]) for name in before)
    first, *others = found.values()
    assert len(first.losses) == len(first.rates) == len(first.smoothed) > 10
    for other in others:
        np.testing.assert_allclose(other.losses, first.losses, rtol=1e-8)
        assert np.array_equal(other.rates, first.rates)
        assert other.suggestion == first.suggestion


def test_it_is_the_run_that_fit_makes_with_such_rates():
    model = zoo.build("mlp", dtype="float64", **SMALL)
    again = zoo.build("mlp", dtype="float64", **SMALL)
    recipe = Recipe(optimizer="sgd")
    found = lr_find(model, "digits", recipe, low=0.01, high=0.02, steps=20)
    # a rate that rises by a constant factor: exponential with gamma above 1
    factor = 2 ** (20 / 19)
    rising = recipe.override(steps=20, lr=0.01, schedule="exponential", gamma=factor)
    history = fit(again, "digits", rising)
    assert np.array_equal(found.rates, rising.curve(20))  # or the runs may differ
    np.testing.assert_allclose(found.rates, np.geomspace(0.01, 0.02, 20), rtol=1e-12)
    np.testing.assert_allclose(found.losses, history.losses, rtol=1e-12)


def test_it_stops_where_the_loss_has_risen():
    model = zoo.build("mlp", **SMALL)
    found = lr_find(model, "digits", Recipe(optimizer="sgd"), high=1e4)
    assert len(found.losses) < 100
    assert found.smoothed[-1] > 4 * found.smoothed.min()
    assert (found.smoothed[:-1] <= 4 * found.smoothed[:-1].min()).all()


def test_the_suggestion_learns_faster_than_rates_far_from_it():
    data, start = "digits", {"seed": 1, **SMALL}
    rate = lr_find(zoo.build("mlp", **start), data).suggestion
    ends = []
    for lr in (rate, rate / 100, rate * 100):
        history = fit(zoo.build("mlp", **start), data, Recipe(lr=lr, steps=40))
        ends.append(history.losses[-5:].mean())
    assert ends[0] < 0.5 * min(ends[1:])


def test_a_loss_that_cannot_fall_suggests_nothing():
    model = zoo.build("xor_mlp", initializer="zeros")
    nothing = np.zeros((4, 2), np.float32), np.zeros((4, 1), np.float32)
    found = lr_find(model, nothing, Recipe(loss="mse"))
    assert found.suggestion is None
    assert not found.losses.any()


@pytest.mark.parametrize(
    "how, words",
    [
        ({"low": 1.0, "high": 0.1}, "below high"),
        ({"low": 0.0}, "low must be positive"),
        ({"high": float("inf")}, "below high"),
        ({"steps": 19}, "at least 20; got 19"),
    ],
)
def test_ranges_that_make_no_sense(how, words):
    with pytest.raises(ConfigError, match=words):
        lr_find(zoo.build("mlp", **SMALL), "digits", **how)


def test_a_loss_that_is_never_finite():
    model = zoo.build("xor_mlp")
    broken = np.full((4, 2), np.nan, np.float32), np.zeros((4, 1), np.float32)
    before = zoo.state(model)
    with pytest.raises(TrainingDiverged, match="not finite at step 1"):
        lr_find(model, broken)
    assert all(np.array_equal(a, before[n]) for n, a in zoo.state(model).items())
