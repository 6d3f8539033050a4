"""A cell's process: what it answers."""

import numpy as np
import pytest

from zoo.errors import ConfigError
from zoo.study import worker


@pytest.mark.parametrize(
    "error, told",
    [
        (ValueError("one\n  two"), "ValueError: one"),
        (RuntimeError("\n\n  late \n"), "RuntimeError: late"),
        (KeyError(), "KeyError: no message"),
        (ConfigError("lr must be positive."), "lr must be positive."),
    ],
)
def test_an_error_is_one_line(error, told):
    assert worker.one_line(error) == told


def test_a_long_line_of_a_framework_is_cut():
    told = worker.one_line(ValueError("x" * 1000))
    assert len(told) == 300
    assert len(worker.one_line(ConfigError("x" * 1000))) == 1000  # zoo's own is not


def test_plain_answers_go_as_they_are():
    answer = {"seconds": 0.5, "settings": {"threads": 1}}
    assert worker._packed(answer) is answer


def test_arrays_go_into_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = worker._packed({"loss": np.float64(1.5), "update/a": np.arange(3)})
    [path] = tmp_path.iterdir()
    assert found == {"arrays": str(path)}
    with np.load(path) as arrays:
        assert arrays["loss"] == 1.5
        assert arrays["update/a"].tolist() == [0, 1, 2]
