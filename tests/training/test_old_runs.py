"""A run folder that zoo 0.1.0 wrote: it opens, is evaluated, and is continued."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import zoo
from zoo.cli import main
from zoo.data.scikit import breast_cancer
from zoo.inference.trained import open_trained
from zoo.training.fit import fit
from zoo.training.folder import RunFolder
from zoo.training.resume import rebuild

OLD = Path(__file__).parents[1] / "data" / "zoo-0.1.0" / "run"


@pytest.fixture
def folder(tmp_path):
    return RunFolder(shutil.copytree(OLD, tmp_path / "run"))


@pytest.fixture
def last(folder):
    """The row of the last evaluation, which used the averaged weights."""
    row = folder.rows()[-1]
    assert (row["split"], row["step"]) == ("test", 6)
    return {name: pytest.approx(row[name], abs=1e-5) for name in ("loss", "accuracy")}


def command(*args):
    result = CliRunner().invoke(main, [*map(str, args), "--json"], prog_name="zoo")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("backend", [None, "torch"])
def test_rebuild_returns_its_model(folder, backend):
    model, data, recipe, checkpoint = rebuild(folder.path, backend)
    assert zoo.backend_of(model) == (backend or "jax")
    assert (model.config.in_features, model.config.hidden) == (30, (4,))
    assert (data.name, len(data.train), len(data.test)) == ("breast_cancer", 456, 113)
    assert (recipe.steps, recipe.ema) == (6, 0.9)
    assert checkpoint.progress["step"] == 6
    weights = zoo.state(model)
    assert weights.keys() == checkpoint.weights.keys()
    for name, array in checkpoint.weights.items():
        assert np.array_equal(weights[name], array)


@pytest.mark.parametrize("backend", [None, "torch"])
def test_its_evaluation_is_the_one_that_it_wrote(folder, last, backend):
    trained = open_trained(folder.path, backend)
    result = zoo.evaluate(trained.model, trained.data, recipe=trained.recipe)
    assert result == last


def test_it_is_continued_in_another_framework(folder):
    before = folder.rows()
    model, data, recipe, _ = rebuild(folder.path, "torch")
    history = fit(model, data, recipe.override(steps=9), out=folder.path, resume=True)
    assert history.rows[: len(before)] == before
    assert [row["step"] for row in history.rows if row["split"] == "train"] == [
        *range(1, 10)
    ]
    assert np.isfinite(history.losses).all()
    assert history.losses[6:].mean() < history.losses[:6].mean()
    assert folder.rows() == history.rows
    assert (folder.steps(), folder.recipe().steps) == ([3, 6, 9], 9)
    progress = folder.read(9).progress
    assert progress.keys() == folder.read(6).progress.keys()
    assert progress["backend"] == "torch"


def test_a_longer_recipe_is_resumed(folder):
    folder.write_recipe(folder.recipe().override(steps=9))
    model, history = zoo.resume(folder.path)
    assert zoo.backend_of(model) == "jax"
    assert len(history.losses) == 9


def test_commands_open_it(folder, last):
    result = command("evaluate", folder.path)
    assert (result["backend"], result["step"], result["examples"]) == ("jax", 6, 113)
    assert {name: result[name] for name in last} == last
    values = ",".join(map(str, breast_cancer()[0][0]))
    [reply] = command("predict", folder.path, "--values", values)
    shares = {c["class"]: c["probability"] for c in reply["classes"]}
    assert shares.keys() == {"malignant", "benign"}
    assert sum(shares.values()) == pytest.approx(1)
