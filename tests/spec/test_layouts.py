"""Names and layouts there and back, without a framework."""

from types import SimpleNamespace

import numpy as np
import pytest

from zoo.spec import layouts
from zoo.spec.layouts import Leaf, move

DENSE = move(kernel=("weight", (1, 0)), bias="bias")


def variables(**arrays):
    return {k: SimpleNamespace(value=v, shape=v.shape) for k, v in arrays.items()}


@pytest.fixture
def leaves():
    """A dense layer, a cell of a recurrent one, and a weight of the model itself."""
    kernel, bias = np.arange(6.0).reshape(2, 3), np.ones(3)
    cell = move(cell__kernel=("weight_ih_{}", (1, 0)))
    return [
        Leaf("fc", variables(kernel=kernel, bias=bias), DENSE),
        Leaf("rnn.l0", variables(**{"cell.kernel": kernel + 6}), cell),
        Leaf("", variables(token=np.zeros(4)), None),
    ]


def value(variable):
    return variable.value


def test_an_entry_renames_and_permutes_and_skips_what_is_not_there():
    kernel = np.arange(6).reshape(2, 3)
    found = DENSE.to({"kernel": kernel})
    assert list(found) == ["weight"]
    assert found["weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert DENSE.back(found)["kernel"].tolist() == kernel.tolist()


def test_a_permutation_of_four_axes_is_undone():
    entry = move(kernel=("weight", (3, 2, 0, 1)))
    kernel = np.arange(120).reshape(2, 3, 4, 5)
    weight = entry.to({"kernel": kernel})["weight"]
    assert weight.shape == (5, 4, 2, 3)
    assert weight[4, 3, 1, 2] == kernel[1, 2, 3, 4]
    assert np.array_equal(entry.back({"weight": weight})["kernel"], kernel)


def test_full_names():
    assert layouts.full_name("fc", "weight") == "fc.weight"
    assert layouts.full_name("rnn.l0_reverse", "bias_ih_{}") == "rnn.bias_ih_l0_reverse"
    assert layouts.full_name("l0", "weight_hh_{}") == "weight_hh_l0"
    assert layouts.full_name("", "class_token") == "class_token"


def test_collected_weights_have_canonical_names_and_layouts(leaves):
    found = layouts.collect(leaves, value)
    assert list(found) == ["fc.weight", "fc.bias", "rnn.weight_ih_l0", "token"]
    assert found["fc.weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["rnn.weight_ih_l0"].tolist() == [[6, 9], [7, 10], [8, 11]]
    few = layouts.collect(leaves, value, keep=lambda v: len(v.shape) == 1)
    assert list(few) == ["fc.bias", "token"]


def test_shapes_need_no_values(leaves):
    for leaf in leaves:
        for variable in leaf.variables.values():
            del variable.value
    assert layouts.shapes(leaves) == {
        "fc.weight": (3, 2), "fc.bias": (3,), "rnn.weight_ih_l0": (3, 2), "token": (4,),
    }  # fmt: skip


def test_natives_are_given_back_in_their_own_layout(leaves):
    state = {"fc.weight": np.array([[1, 2], [3, 4], [5, 6]]), "token": np.arange(4)}
    found = list(layouts.natives(leaves, state))
    assert [variable.shape for variable, _ in found] == [(2, 3), (4,)]
    assert found[0][1].tolist() == [[1, 3, 5], [2, 4, 6]]
    assert found[1][1].tolist() == [0, 1, 2, 3]


def test_each_variable_knows_the_names_that_it_holds(leaves):
    names = [names for _, names in layouts.held(leaves)]
    assert names == [("fc.weight",), ("fc.bias",), ("rnn.weight_ih_l0",), ("token",)]


def test_a_variable_may_hold_several_weights():
    def split(native):
        return {"a": native["both"][:2], "b": native["both"][2:]}

    def join(canonical):
        return {"both": np.concatenate([canonical["a"], canonical["b"]])}

    leaf = Leaf("x", variables(both=np.zeros(5)), layouts.Entry(split, join))
    [(_, names)] = layouts.held([leaf])
    assert names == ("x.a", "x.b")
