"""A run's folder: what it refuses to write over, and damage that it tells."""

from pathlib import Path

import numpy as np
import pytest

import zoo
from tests.training.runs import CONFIG, RECIPE
from zoo.errors import FileError
from zoo.spec.recipe import Recipe
from zoo.training.folder import Checkpoint, RunFolder
from zoo.training.rows import json_line


def test_another_run_is_refused_unless_asked_for(tmp_path):
    model = zoo.build("mlp", "torch", **CONFIG)
    short = RECIPE.override(steps=2)
    zoo.fit(model, "digits", short, out=tmp_path)
    with pytest.raises(FileError, match="holds a run already"):
        zoo.fit(model, "digits", short, out=tmp_path)
    zoo.fit(model, "digits", short, out=tmp_path, overwrite=True)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.tex").write_text("precious")
    with pytest.raises(FileError, match="holds something else"):
        zoo.fit(model, "digits", short, out=tmp_path / "else", overwrite=True)
    assert (tmp_path / "else" / "thesis.tex").read_text() == "precious"


def test_a_damaged_best_json_gets_one_line(tmp_path):
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    (folder.checkpoints / "best.json").write_text("{}")
    with pytest.raises(FileError, match="names no step"):
        folder.best()


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create({"data": "digits"}, Recipe(lr=0.5))
    return folder


def test_a_new_run_has_its_facts_and_its_recipe(folder):
    assert folder.about() == {"format_version": 1, "data": "digits"}
    assert folder.recipe() == Recipe(lr=0.5)
    assert (folder.steps(), folder.rows(), folder.best()) == ([], [], None)


def test_overwriting_removes_a_runs_own_files_and_nothing_else(folder):
    folder.metrics.write_text("old")
    folder.at(3).mkdir()
    (folder.path / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match="holds a run already"):
        folder.create({}, Recipe())
    folder.create({}, Recipe(), overwrite=True)
    assert not folder.metrics.exists()
    assert folder.steps() == []
    assert (folder.path / "notes.txt").read_text() == "mine"


def test_steps_are_those_of_complete_checkpoints_in_order(folder):
    for name in ("step-00000010", "step-00000002", ".step-x1", "step-x", "else"):
        (folder.checkpoints / name).mkdir()
    (folder.checkpoints / "step-00000003").touch()  # a file is none
    assert folder.steps() == [2, 10]
    assert folder.at(10).name == "step-00000010"


def test_rewinding_goes_back_to_a_checkpoints_metrics(folder):
    rows = [{"split": "train", "step": step, "loss": 1.0} for step in (1, 2, 3)]
    folder.metrics.write_text("".join(map(json_line, rows)))
    for step in (2, 3):
        folder.at(step).mkdir()
    (folder.checkpoints / ".step-killed").mkdir()
    history = "".join(map(json_line, rows[:2]))
    (folder.at(2) / "history.jsonl").write_text(history)
    checkpoint = Checkpoint(folder.at(2), {}, {}, {"step": 2})
    assert folder.rewind(checkpoint) == rows[:2] == folder.rows()
    assert [p.name for p in folder.checkpoints.iterdir()] == ["step-00000002"]


def test_averaged_weights_take_the_place_of_the_last_ones():
    weights = {"a": np.zeros(2), "running_mean": np.ones(2)}
    slots = {"ema/a": np.full(2, 0.5), "exp_avg/a": np.full(2, 9.0)}
    averaged = Checkpoint(Path("x"), weights, slots, {}).averaged
    assert averaged["a"].tolist() == [0.5, 0.5]
    assert averaged["running_mean"].tolist() == [1, 1]
    assert weights["a"].tolist() == [0, 0]


def test_what_is_no_run_and_later_formats_are_told(folder, tmp_path):
    with pytest.raises(FileError, match=r"is .*none the folder of a run"):
        RunFolder(tmp_path / "none").about()
    with pytest.raises(FileError, match="it has: none"):
        folder.read()
    (folder.path / "run.json").write_text('{"format_version": 2}')
    with pytest.raises(FileError, match="has format_version 2; this zoo reads 1"):
        folder.about()
    (folder.path / "run.json").write_text("[]")
    with pytest.raises(FileError, match="must hold a JSON object"):
        folder.about()
