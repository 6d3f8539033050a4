"""`zoo train`: runs made, continued, interrupted and refused."""

import os
import re
import shutil
import signal

import numpy as np
import pytest

from tests.cli.invoked import fails, loads, run
from tests.cli.runs import LENGTH, STEPS, TINY
from zoo.spec.recipe import Recipe
from zoo.training.folder import RunFolder


def losses(folder):
    rows = [row for row in RunFolder(folder).rows() if row["split"] == "train"]
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    return np.array([row["loss"] for row in rows])


@pytest.fixture
def cut_short(trained, tmp_path):
    """The same run as if it had been killed after the checkpoint of step 8."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    shutil.rmtree(folder / "checkpoints" / "step-00000012")
    return folder


def test_a_run_leaves_what_it_did(trained):
    folder, result = trained
    assert f"MLP on digits in PyTorch: step {STEPS} of {STEPS}" in result.stdout
    assert re.search(r"test +loss \d\S+  accuracy 0\.\d+\n", result.stdout)
    assert "\x1b" not in result.output
    assert len(re.findall(r"^step \d+/12, epoch 0: test ", result.stderr, re.M)) == 2
    about = RunFolder(folder).about()
    assert (about["data"], about["dtype"]) == ("digits", "float64")
    assert about["config"]["hidden"] == [16]
    recipe = RunFolder(folder).recipe()
    assert recipe == Recipe(precision="float64", seed=3, steps=STEPS, evaluate_every=6)
    assert len(losses(folder)) == STEPS
    assert RunFolder(folder).steps() == [4, 8, 12]


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_resume_in_any_backend_is_the_same_run(trained, cut_short, backend):
    found = loads("train", "--resume", cut_short, "--backend", backend)
    assert (found["backend"], found["steps"]) == (backend, STEPS)
    whole = RunFolder(trained[0])
    np.testing.assert_allclose(losses(cut_short), losses(trained[0]), rtol=1e-10)
    for name, array in RunFolder(cut_short).read().weights.items():
        np.testing.assert_allclose(array, whole.read().weights[name], atol=1e-10)


def test_nothing_is_left_to_resume(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    assert "nothing was left to train" in run("train", "--resume", folder).stdout
    assert (folder / "metrics.jsonl").read_text() == (
        trained[0] / "metrics.jsonl"
    ).read_text()


def test_a_folder_with_a_run_is_refused(trained, tmp_path):
    assert "add --overwrite" in fails("train", *TINY, "--out", trained[0])
    folder = tmp_path / "run"
    args = ["train", *TINY, "--out", folder, "--tensorboard", "--steps"]
    run(*args, 2)
    [old] = (folder / "tensorboard").iterdir()
    run(*args, 1, "--overwrite")
    assert not old.exists()
    assert len(losses(folder)) == 1
    strange = tmp_path / "thesis"
    strange.mkdir()
    (strange / "tensorboard").mkdir()
    (strange / "tensorboard" / "kept").touch()
    told = fails("train", *TINY, "--out", strange, "--overwrite")
    assert "something else" in told
    assert (strange / "tensorboard" / "kept").exists()


def test_ctrl_c_loses_no_step(trained, tmp_path, monkeypatch):
    from zoo.cli import train

    def trained_step(self, run, row):
        if row["step"] == 7:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(train._Lines, "trained", trained_step)
    folder = tmp_path / "run"
    result = run("train", *TINY, *LENGTH, "--out", folder, code=130)
    assert "step-00000007" in result.stdout
    assert f"zoo train --resume {folder}" in result.stderr
    monkeypatch.undo()
    assert loads("train", "--resume", folder)["stopped"] is None
    np.testing.assert_allclose(losses(folder), losses(trained[0]), rtol=1e-10)


def test_early_stopping_is_told(tmp_path):
    args = ["--steps", 20, "--evaluate-every", 1, "--patience", 2, "--min-delta", 9]
    found = loads("train", *TINY, *args, "--out", tmp_path / "run")
    assert found["steps"] < 20
    assert "did not improve" in found["stopped"]


@pytest.mark.parametrize(
    "args, words",
    [
        (["train"], "Give the preset"),
        (["train", "mlp"], "Give --out"),
        (["train", "mpl", "--out", "x"], "Did you mean 'mlp'?"),
        (["train", "mlp", "--out", "x", "--optimizer", "adan"], "mean 'adam'?"),
        (["train", "mlp", "--out", "x", "--lr", "fast"], "'--lr': 'fast'"),
        (["train", "mlp", "--out", "x", "--lr", "-1"], "lr must be positive"),
        (["train", "mlp", "--out", "x", "--lr-group", "fc"], "PATTERN=FACTOR"),
        (["train", "mlp", "--out", "x", "--momentum", ".9"], "adamw has no momentum"),
        (["train", "mlp", "--out", "x", "--epochs", "1", "--steps", "1"], "not both"),
        (["train", "mlp", "--out", "x", "--data", "digit"], "Did you mean 'digits'?"),
        (["train", "mlp", "--out", "x", "--data", "text"], "does not learn"),
        (["train", "mlp", "--out", "x", "--recipe", "no.json"], "cannot read"),
        (["train", "mlp", "--out", "x", "--init-from", "no"], "no such file: no"),
        (["train", "mlp", "--out", "x", "--backend", "trch"], "Did you mean 'torch'?"),
        (["train", "unet_time", "--out", "x"], "no embedded data set fits"),
        (["train", "--resume", "nowhere"], "is nowhere the folder of a run?"),
        (["train", "mlp", "--resume", "x", "--lr", "1"], "leave out NAME, --lr"),
        (["evaluate", "nowhere"], "is nowhere the folder of a run?"),
        (["predict", "nowhere"], "Give pictures, --values or --prompt."),
        (["recipe", "--plot", "x.png"], "--plot needs --steps"),
        (["recipe", "--plot", "x.gif", "--steps", "9"], "a figure ends in .png"),
        (["lr-find", "mlp", "--low", "2", "--high", "1"], "below high"),
    ],
)
def test_bad_flags(args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in fails(*args)
    assert not any(tmp_path.iterdir())


def test_init_from_keeps_all_but_the_head(trained, tmp_path):
    saved = RunFolder(trained[0]).read().path / "model.safetensors"
    still = ["--optimizer", "sgd", "--lr", 1e-30, "--steps", 1]
    for source, classes in ((saved, 10), (trained[0], 12)):
        folder = tmp_path / str(classes)
        args = ["--set", f"num_classes={classes}", "--set", "dropout=0.5", *still]
        result = run("train", *TINY, *args, "--init-from", source, "--out", folder)
        assert ("head.bias start anew" in result.stderr) == (classes == 12)
        assert RunFolder(folder).about()["config"]["dropout"] == 0.5
        old, new = (
            RunFolder(trained[0]).read().weights,
            RunFolder(folder).read().weights,
        )
        same = [name for name in new if np.array_equal(new[name], old[name])]
        assert same == [name for name in new if classes == 10 or "head" not in name]
    told = fails("train", "resnet20", "--init-from", saved, "--out", tmp_path / "x")
    assert "holds a MLP, and resnet20 is a ResNet" in told
