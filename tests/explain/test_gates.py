"""Gates of recurrent layers, recomputed from weights and inputs."""

import pytest

import zoo
from tests.explain.cases import WIDE, same
from zoo.explain.gates import gates
from zoo.files.weights import state


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("padded", [False, True])
def test_recomputed_gates_give_what_the_layer_gave(cell, padded):
    shape = dict(num_layers=2, bidirectional=True, output="sequence")
    config = zoo.config(cell, **shape).small()
    model = zoo.build(config, **WIDE)
    x, lengths = zoo.example_inputs(model, 4)
    inputs = (x, lengths) if padded else (x,)
    weights = {k.removeprefix("rnn."): v for k, v in state(model).items()}
    outputs, values = gates(weights, *inputs)
    assert same(outputs, zoo.trace(model, inputs)["rnn"][0])
    kinds = {"rnn": "h", "lstm": "ifgo", "gru": "rzn"}[cell]
    sides = ("l0", "l0_reverse", "l1", "l1_reverse")
    assert list(values) == [f"{side}.{gate}" for side in sides for gate in kinds]
    count = int(lengths.sum()) if padded else x.shape[0] * x.shape[1]
    assert {v.shape for v in values.values()} == {(count, config.hidden_size)}
