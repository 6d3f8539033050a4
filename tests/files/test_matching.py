"""Arrays matched to a model: every mismatch is told, known surplus is accepted."""

import numpy as np
import pytest

import zoo
from tests.files.states import same
from zoo.configs._base import Config
from zoo.errors import StateError
from zoo.files.matching import match


def test_load_state_lists_every_mismatch_and_touches_nothing(model):
    state = zoo.state(model)
    before = zoo.state(model)
    del state["head.bias"]
    state["head.weight"] = state["head.weight"][:, :2]
    state["what.weight"] = np.zeros(3, np.float32)
    state["down.0.conv1.bias"] = np.full_like(state["down.0.conv1.bias"], np.nan)
    with pytest.raises(StateError) as error:
        zoo.load_state(model, state)
    text = str(error.value)
    for words in (
        "4 mismatches",
        "head.bias: missing",
        "head.weight: expected (1, 8, 1, 1), got (1, 2, 1, 1)",
        "what.weight: surplus",
        "down.0.conv1.bias: holds NaN",
    ):
        assert words in text
    assert same(zoo.state(model), before)


def test_num_batches_tracked_is_ignored(model):
    fresh = zoo.build(model.config, "jax")
    zoo.load_state(fresh, {k: v.numpy() for k, v in model.state_dict().items()})
    assert same(zoo.state(fresh), zoo.state(model))


def test_a_second_lstm_bias_is_folded_with_a_notice():
    config = zoo.config("sentiment_lstm").small()
    model = zoo.build(config, "jax")
    state = zoo.state(model)
    first = state["rnn.bias_ih_l0"].copy()
    state["rnn.bias_hh_l0"] = np.full_like(first, 0.5)
    with pytest.warns(UserWarning, match="was added into rnn.bias_ih_l0"):
        zoo.load_state(model, state)
    assert np.array_equal(zoo.state(model)["rnn.bias_ih_l0"], first + 0.5)


def test_a_tied_alias_must_be_bit_equal():
    config = zoo.config("gpt").small()
    model = zoo.build(config, "torch")
    state = zoo.state(model)
    named = {f"transformer.{k}": v for k, v in state.items()}
    named["lm_head.weight"] = state["wte.weight"]
    named["transformer.h.0.attn.bias"] = np.ones((1, 1, 9, 9), np.float32)
    zoo.load_state(model, named)
    assert same(zoo.state(model), state)
    named["lm_head.weight"] = state["wte.weight"] + 1
    with pytest.raises(StateError, match="tied"):
        zoo.load_state(model, named)


def test_what_is_no_weight_is_refused():
    model = zoo.build("tiny_mlp")
    state = zoo.state(model)
    state["head.bias"] = np.zeros(2, np.int8)
    with pytest.raises(StateError, match=r"head\.bias: expected floats, got int8"):
        zoo.load_state(model, state)


class Named(Config):
    """A config whose public files have a prefix, an alias and a mask."""

    prefixes = ("model.",)
    tied = {"head.weight": "table.weight"}
    ignored = ("*.mask",)


SHAPES = {"table.weight": (3, 2), "rnn.bias_ih_l0": (4,)}


def arrays(**more):
    return {
        "table.weight": np.ones((3, 2), np.float32),
        "rnn.bias_ih_l0": np.zeros(4, np.float32),
        **more,
    }


def test_what_fits_is_returned_in_the_models_order():
    state = dict(reversed(arrays().items()))
    found = match(Named(), SHAPES, state)
    assert list(found) == list(SHAPES)
    assert found["table.weight"] is state["table.weight"]


def test_prefixes_masks_and_counters_are_no_mismatch():
    state = {f"model.{name}": array for name, array in arrays().items()}
    state |= {"h.0.mask": np.ones((9, 9)), "bn.num_batches_tracked": np.array(3)}
    assert list(match(Named(), SHAPES, state)) == list(SHAPES)


def test_one_name_in_two_forms_is_told():
    state = arrays(**{"model.table.weight": np.ones((3, 2), np.float32)})
    with pytest.raises(StateError, match=r"1 mismatches\n .*a second time"):
        match(Named(), SHAPES, state)


def test_an_alias_must_be_equal_to_the_bit():
    same = np.ones((3, 2), np.float32)
    match(Named(), SHAPES, arrays(**{"head.weight": same}))
    other = np.nextafter(same, 2)
    with pytest.raises(StateError, match=r"head\.weight: differs from table\.weight"):
        match(Named(), SHAPES, arrays(**{"head.weight": other}))


def test_a_second_bias_of_zeros_is_dropped_without_a_word(recwarn):
    second = {"rnn.bias_hh_l0": np.zeros(4, np.float32)}
    assert list(match(Named(), SHAPES, arrays(**second))) == list(SHAPES)
    assert not recwarn
    wrong = {"rnn.bias_hh_l0": np.zeros(5, np.float32)}
    with pytest.raises(StateError, match=r"bias_hh_l0: expected \(4,\), got \(5,\)"):
        match(Named(), SHAPES, arrays(**wrong))
