"""Why a loss stalls: what is wrong is found, and nothing else is."""

import re

import numpy as np
import pytest

import zoo
from tests.explain.cases import findings, plant
from zoo import explain
from zoo.registry import BACKENDS


@pytest.mark.parametrize("preset", ["mlp", "cnn", "simple_resnet", "lstm", "gpt"])
def test_a_healthy_model_has_no_findings(preset):
    assert findings(zoo.build(zoo.config(preset).small())) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_dead_units_are_found(backend):
    def kill(weights):
        weights["linears.0.bias"][:3] = -100

    model = zoo.build("mlp", backend, hidden=(16, 16), in_features=9)
    [found] = findings(model, kill)
    assert (found.kind, found.layer) == ("dead", "linears.0")
    assert found.value == 3 / 16
    assert "3 of 16 units" in found.text


def test_a_dead_layer_cuts_off_what_is_before():
    def kill(weights):
        weights["linears.2.bias"][:] = -100

    model = zoo.build("mlp", hidden=(16, 16, 16), in_features=9)
    kinds = {(f.kind, f.layer): f for f in findings(model, kill)}
    assert kinds["dead", "linears.2"].value == 1
    assert "16 of 16 units" in kinds["dead", "linears.2"].text
    assert "1 other layer" in kinds["cut off", "linears.0"].text


def test_vanishing_gradients_are_found():
    deep = dict(hidden=(16,) * 20, in_features=9, activation="sigmoid")
    [found] = findings(zoo.build("mlp", **deep))
    assert (found.kind, found.layer) == ("vanishing", "linears.0")
    assert found.value < 1e-6
    assert re.search(r"head, 20 layers on; it shrinks to 0\.\d+ at each", found.text)


def test_exploding_weights_are_found():
    def blow_up(weights):
        for name in weights:
            weights[name] *= 10

    deep = dict(hidden=(16,) * 6, in_features=9)
    found = findings(zoo.build("mlp", **deep), blow_up)
    found = [f for f in found if f.kind == "exploding"]
    assert "outputs deviate" in found[0].text
    assert found[1].layer == "linears.0" and "on its way back" in found[1].text
    assert all(f.value > 1e3 for f in found)


def test_what_is_not_finite_is_found_at_its_first_layer():
    def blow_up(weights):
        weights["linears.1.weight"][:] = 1e38

    found = findings(zoo.build("mlp", hidden=(16,) * 3, in_features=9), blow_up)
    assert [(f.kind, f.layer) for f in found] == [("not finite", "linears.1")]


def test_a_flat_loss_is_told():
    def settle(weights):
        weights["head.weight"][:] = 0
        weights["head.bias"][:] = [1e4, 0, 0]

    model = zoo.build("mlp", hidden=(4,), in_features=9, num_classes=3)
    plant(model, settle)
    rows = explain.statistics(model, zoo.example_inputs(model, 4), np.zeros(4, int))
    assert [f.kind for f in explain.diagnose(rows)] == ["flat"]
    assert [row.dead for row in rows] == [0, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_saturated_gates_are_found(backend):
    def shut(weights):
        weights["rnn.bias_ih_l0"].reshape(4, -1)[0] = -20  # the input gate

    [found] = findings(zoo.build(zoo.config("lstm").small(), backend), shut)
    assert (found.kind, found.layer, found.value) == ("saturated", "rnn.l0.i", 1)
