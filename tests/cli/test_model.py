"""Which model and which data a command line means."""

import pytest

import zoo
from zoo import data as datasets
from zoo.cli import _model


@pytest.mark.parametrize(
    "name, data",
    [
        ("cnn", "digits"),
        ("row_lstm", "digits"),
        ("sentiment_lstm", "digits"),
        ("mlp", "digits"),
        ("vit", "digits"),
        ("unet_bn", "digit_scenes"),
        ("gpt", "text"),
        ("tabular_mlp", "breast_cancer"),
    ],
)
def test_data_that_fit_a_preset(name, data, capsys):
    start = _model.resolve(name, True, (), None)
    assert start.data == data
    assert datasets.overrides(data, start.config) == {}
    wanted = datasets.overrides(data, zoo.config(name).small())
    told = capsys.readouterr().err
    assert all(f"{field}={value}" in told for field, value in wanted.items())
    assert start.config == zoo.config(name).small().override(**wanted)


def test_what_is_set_by_hand_is_not_changed_by_data(capsys):
    start = _model.resolve("resnet20", False, ("in_channels=3", "num_classes=11"), None)
    assert (start.config.in_channels, start.config.num_classes) == (3, 11)
    changed = _model.resolve("resnet20", False, (), "digits").config
    assert changed.in_channels == 1
    assert "in_channels=1" in capsys.readouterr().err
