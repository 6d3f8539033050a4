"""From a symptom to its cause: settings first, then forms, then the catalogue."""

import numpy as np
import pytest

from zoo.parity.causes import likely_buffer_cause, likely_cause


def test_settings_that_differ_are_the_cause():
    ours, other = {"eps": 1e-5, "groups": 4}, {"eps": 1e-3, "groups": 4}
    found = likely_cause("forward", "BatchNorm2d", ours, other)
    assert found == "BatchNorm eps: 1e-05 against 0.001"
    found = likely_cause("forward", "GroupNorm", {"groups": 8}, {"groups": 4, "x": 1})
    assert found == "GroupNorm groups: 8 against 4"


def test_momentum_matters_for_buffers_alone():
    ours, other = {"momentum": 0.1}, {"momentum": 0.01}
    found = likely_cause("buffers", "BatchNorm2d", ours, other)
    assert found == "BatchNorm momentum: 0.1 against 0.01"
    assert likely_cause("forward", "BatchNorm2d", ours, other) == (
        "BatchNorm eps, or train and eval mode mixed up"
    )


@pytest.mark.parametrize(
    "rung, kind, words",
    [
        ("buffers", "BatchNormalization", "BatchNorm momentum"),
        ("forward", "LayerNorm", "LayerNorm eps"),
        ("forward", "Conv2DTranspose", "transposed convolution"),
        ("forward", "Conv1D", "GPT-2's file"),
        ("gradients", "Conv2d", "asymmetric padding"),
        ("forward", "LSTM", "LSTM gate order"),
        ("forward", "GRU", "reset_after"),
        ("forward", "before fc (Linear)", "flatten order"),
        ("forward", "before head (Norm)", "the model's own code"),
        ("forward", "MultiHeadAttention", "1/sqrt"),
        ("forward", "GELU", "GELU form"),
    ],
)
def test_the_catalogue_knows_kinds_of_layers(rung, kind, words):
    assert words in likely_cause(rung, kind, {}, {})


def test_of_what_it_does_not_know_it_says_nothing():
    assert likely_cause("forward", "Mystery", {}, {}) is None


def test_a_statistic_whose_steps_are_all_too_large_by_one_factor():
    before, step = np.array([0.0, 1.0, 2.0]), np.array([0.1, -0.2, 0.0])
    found = likely_buffer_cause(before, before + step, before + 2.5 * step)
    assert found == "BatchNorm momentum: the step is 2.5 times as large"
    other = before + step * np.array([2, 3, 1])
    assert likely_buffer_cause(before, before + step, other) is None
    assert likely_buffer_cause(before, before, other) is None  # no step at all
