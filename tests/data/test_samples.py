"""Real inputs for every preset."""

import numpy as np
import pytest

import zoo
from zoo.configs.mlp import MLPConfig
from zoo.configs.rnn import RecurrentNetConfig
from zoo.configs.unet import UNetConfig
from zoo.data import samples, scikit
from zoo.models import as_inputs


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", zoo.list_models())
def test_every_preset_gets_real_inputs(name, small):
    config = zoo.config(name)
    config = config.small() if small else config
    arrays = samples.sample_inputs(config, batch=3, seed=2)
    as_inputs(config, arrays)  # raises where they do not fit
    for spec, array in zip(config.inputs(), arrays):
        assert array.shape == (3, *spec.shape)
        assert array.dtype == spec.dtype
        assert array.flags.c_contiguous
        assert array.flags.writeable
        if spec.kind == "real":
            assert array.std()
    again = samples.sample_inputs(config, batch=3, seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, again))
    other = samples.sample_inputs(config, batch=3, seed=3)
    assert not np.array_equal(arrays[0], other[0])
    assert samples.describe(config)


def test_lengths_and_masks_end_with_the_ink():
    rows, lengths = samples.sample_inputs(zoo.config("row_lstm", length=20), batch=8)
    for row, length in zip(rows, lengths):
        assert row[length - 1].any()
        assert not row[length:].any()
    tokens, mask = samples.sample_inputs(zoo.config("transformer_encoder"), batch=8)
    assert not mask.all()
    assert not tokens[~mask].any()


def test_sample_inputs_are_whole_digits():
    images = scikit.digits().images.reshape(-1, 64)
    config = zoo.config("mlp", in_features=64)
    [vectors] = samples.sample_inputs(config, batch=6, seed=4)
    assert all((images == vector).all(1).any() for vector in vectors)


@pytest.mark.parametrize(
    "config, words",
    [
        (MLPConfig(), "digits as 784 numbers"),
        (RecurrentNetConfig(), "digits as 32x128 rows, lengths"),
        (RecurrentNetConfig(vocabulary=9), "digits as 32 tokens, lengths"),
        (UNetConfig(in_channels=1), "digits as 64x64 images"),
        (UNetConfig(time_width=8), "photographs, 64x64x3, time steps"),
    ],
)
def test_describe(config, words):
    assert samples.describe(config) == words
