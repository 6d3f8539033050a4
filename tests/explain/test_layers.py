"""Figures of each layer: the same in the three backends."""

import numpy as np
import pytest

import zoo
from tests.explain.cases import WIDE, case, plant
from zoo import explain
from zoo.files.weights import state
from zoo.models import as_inputs
from zoo.registry import BACKENDS, get_backend


@pytest.mark.parametrize(
    "preset", ["cnn", "simple_resnet", "sentiment_lstm", "gru", "gpt"]
)
def test_statistics_are_the_same_in_every_backend(preset):
    config = zoo.config(preset).small()
    found = []
    for backend in BACKENDS:
        model = zoo.build(config, backend, **WIDE)
        before = {k: v.copy() for k, v in state(model).items()}
        inputs, targets = case(model)
        outputs = zoo.predict(model, inputs)
        found.append(explain.statistics(model, inputs, targets))
        assert all((state(model)[k] == v).all() for k, v in before.items())
        again = zoo.predict(model, inputs)
        np.testing.assert_allclose(again, outputs, rtol=1e-9, atol=1e-12)
    assert found[0]
    for ours in found[1:]:
        for a, b in zip(ours, found[0], strict=True):
            assert (a.layer, a.units, a.dead) == (b.layer, b.units, b.dead)
            assert a.saturated == pytest.approx(b.saturated)
            wanted = pytest.approx(b[2:6], rel=1e-10, abs=1e-12, nan_ok=True)
            assert a[2:6] == wanted, a.layer
            assert a[8:] == pytest.approx(b[8:], rel=1e-10, abs=1e-12), a.layer


def test_no_unit_is_dead_where_there_is_no_relu():
    def shift(weights):
        weights["linears.0.bias"][:] = -3

    model = zoo.build("mlp", hidden=(16,), in_features=9, activation="leaky_relu")
    plant(model, shift)
    assert [row.silent for row in explain.statistics(model, *case(model))] == [0, 0]


def test_the_share_of_silent_outputs_is_that_of_zeros_after_the_relu():
    model = zoo.build("mlp", hidden=(16, 16), in_features=9, **WIDE)
    inputs, targets = case(model, 32)
    rows = explain.statistics(model, inputs, targets)
    given = get_backend(model).trace(model, as_inputs(model.config, inputs))
    after = next(c for c in given if c.name == "linears.1").given[0]
    assert rows[0].silent == (after == 0).mean()
    assert rows[0].given == pytest.approx(np.std(inputs))


def test_states_that_the_loss_does_not_use_are_not_dead():
    model = zoo.build(zoo.config("lstm").small())  # its loss sees the last state only
    rows = explain.statistics(model, *case(model))
    assert [(row.silent, row.dead) for row in rows] == [(0, 0), (0, 0)]
