"""A run killed at any moment goes on exactly as if nothing had happened."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import zoo
from tests.training.runs import CONFIG, RECIPE
from zoo.errors import FileError, InputError
from zoo.training.callbacks import EarlyStopping
from zoo.training.folder import RunFolder
from zoo.training.resume import rebuild

# Where SIGKILL strikes: (what is called, at which call).
MOMENTS = {
    "a checkpoint's weights half written": ("safetensors.numpy.save_file", 3),
    "before the checkpoint gets its name": ("zoo.training.folder.Path.replace", 8),
    "before best.json": ("zoo.training.folder.write_text", 6),
    "while old checkpoints go": ("zoo.training.folder.shutil.rmtree", 7),
    "in the midst of a line of metrics": ("zoo.training.callbacks.json_line", 14),
    "in the midst of a step": ("zoo.training.loop.split", 18),
}
SCRIPT = """
    import importlib, os, signal, sys
    import zoo
    from zoo.spec.recipe import Recipe
    folder, recipe, where, count = sys.argv[1:]
    importlib.import_module("zoo.training.loop")
    module, _, name = where.rpartition(".")
    try:
        holder = importlib.import_module(module)
    except ModuleNotFoundError:
        parent, _, attribute = module.rpartition(".")
        holder = getattr(importlib.import_module(parent), attribute)
    real, calls = getattr(holder, name), 0
    def struck(*args, **kwargs):
        global calls
        calls += 1
        if calls == int(count):
            if name == "json_line":  # half a line is on the disk already
                with open(folder + "/metrics.jsonl", "a") as file:
                    file.write(real(*args, **kwargs)[:20])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(holder, name, struck)
    model = zoo.build("mlp", {backend!r}, **{config!r})
    recipe = Recipe.from_json(recipe)
    zoo.fit(model, "digits", recipe, out=folder, checkpoint_every=5, keep=2)
    print("not struck")
"""


@pytest.fixture(scope="module")
def whole():
    """Return the losses of the run that nobody disturbs, by backend."""
    return {
        backend: zoo.fit(zoo.build("mlp", backend, **CONFIG), "digits", RECIPE).losses
        for backend in ("torch", "jax")
    }


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_resumed_is_the_same_run(moment, whole, tmp_path):
    folder = tmp_path / "run"
    where, count = MOMENTS[moment]
    # each moment in one backend: what is on the disk does not depend on it
    backend = ("torch", "jax")[sorted(MOMENTS).index(moment) % 2]
    code = textwrap.dedent(SCRIPT).format(backend=backend, config=CONFIG)
    done = subprocess.run(
        [sys.executable, "-c", code, folder, RECIPE.to_json(), where, str(count)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stdout + done.stderr[-2000:]
    model, history = zoo.resume(folder, checkpoint_every=5, keep=2)
    assert zoo.backend_of(model) == backend
    np.testing.assert_allclose(history.losses, whole[backend], rtol=1e-10)
    rows = [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [r["step"] for r in rows if r["split"] == "train"]
    assert steps == list(range(1, RECIPE.steps + 1))
    left = {p.name for p in (folder / "checkpoints").iterdir()}
    assert not {n for n in left if n.startswith(".")}, left
    assert RunFolder(folder).best() == pytest.approx(history.best)


def test_a_finished_run_is_not_run_again(tmp_path):
    model = zoo.build("mlp", "torch", **CONFIG)
    first = zoo.fit(model, "digits", RECIPE, out=tmp_path / "run")
    weights = zoo.state(model)
    again, second = zoo.resume(tmp_path / "run")
    assert second.rows == first.rows
    assert all(np.array_equal(weights[k], v) for k, v in zoo.state(again).items())


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("run.json", "{", "is not JSON"),
        ("recipe.json", '{"optimiser": "adam"}', "Did you mean 'optimizer'"),
        ("checkpoints/step-00000002/progress.json", "{}", "is damaged"),
        ("checkpoints/step-00000002/model.safetensors", "xx", "truncated"),
        ("checkpoints/step-00000002/history.jsonl", "{}\n\n{}", "line 1, is no row"),
    ],
)
def test_damaged_files_get_one_line(name, text, words, tmp_path):
    model = zoo.build("mlp", "torch", **CONFIG)
    zoo.fit(model, "digits", RECIPE.override(steps=2), out=tmp_path / "run")
    (tmp_path / "run" / name).write_text(text)
    with pytest.raises(zoo.ZooError) as error:
        zoo.resume(tmp_path / "run")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_other_data_and_other_recipes_are_refused(tmp_path):
    model = zoo.build("mlp", "torch", **CONFIG)
    short = RECIPE.override(steps=2)
    zoo.fit(model, "digits", short, out=tmp_path)
    x = np.zeros((30, 64), np.float32)
    arrays = x, np.arange(30) % 10
    with pytest.raises(zoo.ZooError, match="another data: digits, not arrays"):
        zoo.fit(model, arrays, short, out=tmp_path, resume=True)
    with pytest.raises(zoo.ZooError, match="another recipe"):
        zoo.fit(model, "digits", short.override(lr=0.5), out=tmp_path, resume=True)
    longer = zoo.fit(
        model, "digits", short.override(steps=4), out=tmp_path, resume=True
    )
    assert len(longer.losses) == 4
    assert RunFolder(tmp_path).recipe().steps == 4


def test_rebuild_returns_any_checkpoint_and_resume_any_device(tmp_path):
    model = zoo.build("mlp", "torch", **CONFIG)
    short = RECIPE.override(steps=4, ema=None)
    zoo.fit(model, "digits", short, out=tmp_path, checkpoint_every=2)
    folder = RunFolder(tmp_path)
    for step in (2, 4, None):
        rebuilt, _, recipe, checkpoint = rebuild(tmp_path, "jax", step=step)
        assert (recipe, checkpoint.path) == (short, folder.at(step or 4))
        weights, saved = zoo.state(rebuilt), folder.read(step).weights
        assert all(np.array_equal(weights[k], v) for k, v in saved.items())
    early, late = (folder.read(step).weights for step in (2, 4))
    assert not np.array_equal(early["head.weight"], late["head.weight"])
    with pytest.raises(FileError, match="it has: 2, 4"):
        rebuild(tmp_path, step=3)
    folder.write_recipe(short.override(steps=6))
    with pytest.raises(InputError, match="device 'abacus:7' is not usable"):
        zoo.resume(tmp_path, device="abacus:7")
    assert folder.steps() == [2, 4]
    resumed, history = zoo.resume(tmp_path, device="cpu")
    assert {p.device.type for p in resumed.parameters()} == {"cpu"}
    assert len(history.losses) == 6


def test_early_stopping_of_the_recipe_is_final_and_a_callback_is_not(tmp_path):
    never = {"patience": 2, "min_delta": 9.0}  # stops at the third evaluation
    short = RECIPE.override(steps=6, evaluate_every=1)
    for name, recipe, stoppers in (
        ("recipe", short.override(**never), ()),
        ("callback", short, (EarlyStopping(**never),)),
    ):
        folder = tmp_path / name
        model = zoo.build("mlp", "torch", **CONFIG)
        first = zoo.fit(model, "digits", recipe, out=folder, callbacks=stoppers)
        assert (len(first.losses), first.stopped is None) == (3, False)
        again = [EarlyStopping(**never)] if stoppers else []
        _, second = zoo.resume(folder, callbacks=again)
        # the callback's count goes on from 2: one more evaluation stops the run
        assert len(second.losses) == (4 if stoppers else 3)
        assert "did not improve in" in second.stopped
