"""Opening a trained model: which checkpoint, and what a file does not say."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.errors import ConfigError, FileError
from zoo.inference.trained import backend_of_run, open_trained
from zoo.training.folder import RunFolder

OLD = Path(__file__).parents[1] / "data" / "zoo-0.1.0" / "run"


@pytest.fixture
def run(tmp_path):
    """A copy of a run in Flax of six steps, with a moving average."""
    return RunFolder(shutil.copytree(OLD, tmp_path / "run"))


def test_a_run_knows_its_data_and_its_classes(run):
    trained = open_trained(run.path, "torch")
    assert (trained.data, trained.step) == ("breast_cancer", 6)
    assert trained.classes == ("malignant", "benign")
    assert trained.loss == "cross_entropy"
    assert zoo.backend_of(trained.model) == "torch"
    assert len(trained.dataset().test) == 113
    assert backend_of_run(run.path) == "jax"


def test_the_averaged_weights_are_taken_of_the_step_that_is_wanted(run):
    for step in (3, 6):
        trained = open_trained(run.path, "torch", step=step)
        wanted = run.read(step).averaged["head.weight"]
        assert np.array_equal(zoo.state(trained.model)["head.weight"], wanted)
    best = open_trained(run.path, "torch", best=True)
    assert best.step == run.best()["step"]


def test_a_file_does_not_say_what_it_was_trained_on(run):
    file = run.at(6) / "model.safetensors"
    assert backend_of_run(file) is None
    with pytest.raises(ConfigError, match="give data"):
        open_trained(file)
    with pytest.raises(ConfigError, match="no steps to choose from"):
        open_trained(file, data="breast_cancer", step=3)
    trained = open_trained(file, data="breast_cancer")
    assert (trained.step, trained.classes, trained.path) == (None, (), None)


def test_what_cannot_be_chosen_is_told(run):
    with pytest.raises(ConfigError, match="not both"):
        open_trained(run.path, best=True, step=3)
    with pytest.raises(FileError, match="it has: 3, 6"):
        open_trained(run.path, "torch", step=4)
    (run.checkpoints / "best.json").unlink()
    with pytest.raises(FileError, match="it was not evaluated"):
        open_trained(run.path, "torch", best=True)


def test_a_damaged_description_is_told(run):
    about = json.loads((run.path / "run.json").read_text())
    del about["classes"]
    (run.path / "run.json").write_text(json.dumps(about))
    with pytest.raises(FileError, match=r"run\.json lacks 'classes'"):
        open_trained(run.path, "torch")
