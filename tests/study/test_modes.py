"""Modes of the backends: their names and titles."""

import pytest

from zoo.errors import UnknownNameError
from zoo.registry import BACKENDS
from zoo.study.modes import MODES, find, title


def test_an_unknown_mode_gets_the_nearest():
    assert find("torch", "eager") is next(iter(MODES["torch"].values()))
    with pytest.raises(UnknownNameError, match="Did you mean 'compile'"):
        find("torch", "compiled")
    with pytest.raises(UnknownNameError, match="Known: jit"):
        find("jax", "eager")
    assert set(MODES) == set(BACKENDS)


def test_titles_are_known_for_new_and_for_old_modes():
    assert title("torch", "compile") == "PyTorch, torch.compile"
    assert title("tf", "on_jax") == "Keras on JAX"
    assert title("jax", "pmap") == "Flax, pmap"  # as a file of another version has it
    assert title("mxnet", "eager") == "mxnet, eager"


def test_no_two_modes_have_one_title():
    titles = [mode.title for modes in MODES.values() for mode in modes.values()]
    assert len(set(titles)) == len(titles)


def test_other_engines_are_chosen_by_the_environment_and_not_exact():
    for name, mode in MODES["tf"].items():
        engine = mode.env["KERAS_BACKEND"]
        assert mode.exact == (engine == "tensorflow")
        assert (name == f"on_{engine}") != mode.exact


def test_a_framework_that_is_none_gets_the_known_ones():
    with pytest.raises(UnknownNameError, match="Known: jax, tf, torch"):
        find("onnx", "eager")
