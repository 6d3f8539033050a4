"""Predictions in the terms of the data: shares, classes, numbers and text."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.errors import FileError, InputError
from zoo.inference import answers

CLASSES = ("ant", "bee", "cat")


def trained(loss="cross_entropy", data="digits", classes=CLASSES):
    """Return what stands for a trained model of three inputs."""
    config = SimpleNamespace(inputs=lambda: [SimpleNamespace(shape=(3,))])
    model = SimpleNamespace(config=config)
    return SimpleNamespace(model=model, loss=loss, data=data, classes=classes)


@pytest.fixture
def logits(monkeypatch):
    """Let every model's logits be its inputs."""
    monkeypatch.setattr(answers, "predict", lambda model, inputs: inputs[0])


def test_scores_are_softmax_or_sigmoid_or_outputs(logits):
    z = np.log([[1.0, 2.0, 5.0]])
    assert np.allclose(answers.scores(trained(), (z,)), [[1 / 8, 2 / 8, 5 / 8]])
    assert np.allclose(answers.scores(trained("bce"), (z,)), [[1 / 2, 2 / 3, 5 / 6]])
    assert answers.scores(trained("mse"), (z,)).tolist() == z.tolist()


def test_one_logit_is_two_classes(logits):
    found = answers.scores(trained("bce"), (np.array([[math.log(3)]]),))
    assert np.allclose(found, [[0.25, 0.75]])


def test_large_logits_do_not_overflow(logits):
    with np.errstate(all="raise", under="ignore"):
        found = answers.scores(trained(), (np.array([[1e4, -1e4, 0]]),))
        assert found.tolist() == [[1, 0, 0]]
        found = answers.scores(trained("bce"), (np.array([[1e4, -1e4, 0]]),))
    assert found.tolist() == [[1, 0, 0.5]]


def test_the_likeliest_classes_come_first():
    found = answers.ranked(trained(), np.array([0.25, 0.25, 0.5]), 2)
    assert found == {
        "classes": [
            {"class": "cat", "probability": 0.5},
            {"class": "ant", "probability": 0.25},  # of equals the first
        ]
    }
    assert answers.ranked(trained(), np.array([0.5, 1]), 2) == {"values": [0.5, 1]}


def test_rows_of_numbers(logits):
    found = answers.of_numbers(trained("mse", classes=()), np.ones((2, 3)), 1)
    assert found == [{"values": [1, 1, 1]}] * 2
    with pytest.raises(InputError, match="takes 3 numbers; got 2"):
        answers.of_numbers(trained(), np.ones((1, 2)), 1)


def test_files_of_numbers(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("1,2.5\n3,4\n")
    found = answers.read_csv(path)
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 2.5], [3, 4]]
    path.write_text("a,b\n")
    with pytest.raises(FileError, match="must hold rows of numbers"):
        answers.read_csv(path)
    with pytest.raises(FileError, match="cannot read"):
        answers.read_csv(tmp_path / "none.csv")


def test_a_prompt_is_for_a_model_of_text():
    with pytest.raises(InputError, match="this one learned digits"):
        answers.continued(trained(), "The ", 3)
