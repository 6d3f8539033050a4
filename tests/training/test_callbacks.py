"""Callbacks: what they show, write, stop and name."""

import io
import json
import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import zoo
from zoo.errors import ConfigError, FileError, InputError, TrainingDiverged
from zoo.errors import MissingPackageError as Missing
from zoo.registry import get_backend
from zoo.spec.batch import Batch
from zoo.spec.recipe import Recipe
from zoo.training import callbacks
from zoo.training.fit import fit


def fake_run(**changes):
    """Return what a callback sees of a run, before its first step."""
    run = SimpleNamespace(step=0, steps=4, reason=None, last_checkpoint=None)
    run.stop = lambda reason: setattr(run, "reason", reason)
    vars(run).update(changes)
    return run


def train_row(step, loss=0.5, lr=1e-3):
    return {"split": "train", "step": step, "epoch": 0, "loss": loss, "lr": lr}


# Metrics in files.


def test_json_lines_hold_every_row_to_the_bit(tmp_path):
    path = tmp_path / "run" / "metrics.jsonl"
    rows = [
        train_row(1, loss=0.1 + 0.2),
        train_row(2, loss=np.float32(0.1)),
        {"split": "test", "step": 2, "epoch": 0, "loss": 5e-324, "accuracy": 1.0},
    ]
    log, run = callbacks.JSONLines(path), fake_run()
    log.begin(run)
    for row in rows:
        (log.evaluated if row["split"] == "test" else log.trained)(run, row)
        read = [json.loads(line) for line in path.read_text().splitlines()]
        assert read[-1] == row, "flushed after each row"
    log.end(run)
    assert read == rows
    assert all(type(row["step"]) is int for row in read)


def test_json_lines_stay_json_and_append_after_a_torn_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for losses in ((math.nan, math.inf), (-math.inf, np.float32("nan"))):
        log = callbacks.JSONLines(path)
        log.begin(fake_run())
        for i, loss in enumerate(losses):
            log.trained(fake_run(), train_row(i + 1, loss=loss))
        log.end(fake_run())
        with path.open("a") as file:
            file.write('{"split": "tr')  # killed while writing

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    whole = path.read_text().splitlines()[:-1]
    read = [json.loads(line, parse_constant=refuse)["loss"] for line in whole]
    assert read == ["NaN", "Infinity", "-Infinity", "NaN"]
    assert math.isnan(float(read[0])) and float(read[2]) == -math.inf


def test_json_lines_say_where_they_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot write"):
        callbacks.JSONLines(tmp_path / "file" / "metrics.jsonl").begin(fake_run())


NO_FRAMEWORK = """
import sys
from types import SimpleNamespace
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "tensorflow", "keras", "jax", "flax"}:
            raise RuntimeError(f"{name} was imported")  # not an ImportError: uncaught
sys.meta_path.insert(0, Wall())
from zoo.training.callbacks import TensorBoard
board = TensorBoard(sys.argv[1])
for first in (0, 2):
    run = SimpleNamespace(step=first)
    board.begin(run)
    for step in range(first + 1, first + 4):
        row = {"split": "train", "step": step, "epoch": 0, "loss": step + first / 10}
        board.trained(run, {**row, "lr": 0.25})
    row = {"split": "test", "step": step, "epoch": 1, "accuracy": 0.5}
    board.evaluated(run, row)
    board.end(run)
"""


def test_tensorboard_files_are_written_without_any_framework(tmp_path):
    """Read back by TensorFlow, which verifies each record's checksum."""
    code = [sys.executable, "-c", NO_FRAMEWORK, str(tmp_path)]
    done = subprocess.run(code, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    import tensorflow as tf

    files = sorted(tmp_path.glob("events.out.tfevents.*"))
    assert len(files) == 2, "a resumed run's file is another"
    found, restarts = [], []
    for file in files:
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            if event.session_log.status == event.session_log.START:
                restarts.append(event.step)
            for value in event.summary.value:
                number = round(value.simple_value, 6)  # a float32
                found.append((value.tag, event.step, number))
    losses = [(s, v) for tag, s, v in found if tag == "train/loss"]
    assert losses == [(1, 1), (2, 2), (3, 3), (3, 3.2), (4, 4.2), (5, 5.2)]
    assert [(s, v) for tag, s, v in found if tag == "test/accuracy"] == [
        (3, 0.5),
        (5, 0.5),
    ]
    assert ("train/lr", 4, 0.25) in found
    assert restarts == [3], "TensorBoard drops what the second file repeats"


def test_tensorboard_tells_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(Missing, match=r"pip install '\.\[tensorboard\]'"):
        callbacks.TensorBoard(tmp_path)


# The bar.


class Terminal(io.StringIO):
    def isatty(self):
        return True


def bar_on(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(callbacks, "_REDRAW", 0.0)
    bar, run = callbacks.ProgressBar(), fake_run()
    bar.begin(run)
    for run.step in (1, 2, 3):
        bar.trained(run, train_row(run.step, loss=1 / run.step))
    bar.evaluated(run, {"split": "test", "step": 3, "loss": 1.0, "accuracy": 0.9375})
    shown = stream.getvalue()
    bar.end(run)
    return shown, stream.getvalue()[len(shown) :]


def test_bar_shows_progress_and_goes_away(monkeypatch):
    shown, last = bar_on(Terminal(), monkeypatch)
    for words in ("1/4", "3/4", "loss 0.3333", "test accuracy 0.9375", "steps/s"):
        assert words in shown, words
    assert "\x1b[2K" in last and "3/4" not in last.rpartition("\x1b[2K")[2]


def test_bar_is_silent_where_stderr_is_no_terminal(monkeypatch, capfd):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert bar_on(io.StringIO(), monkeypatch) == ("", "")
    assert capfd.readouterr() == ("", "")


# Stopping.


def stops_at(values, monitor="loss", **kwargs):
    """Return the number of evaluations after which a run is stopped, or None."""
    stopping, run = callbacks.EarlyStopping(monitor, **kwargs), fake_run()
    stopping.begin(run)
    for i, value in enumerate(values):
        if i == 2:  # a checkpoint in between changes nothing
            kept = json.loads(json.dumps(stopping.state()))
            stopping = callbacks.EarlyStopping(monitor, **kwargs)
            stopping.restore(kept)
            stopping.begin(fake_run(step=2))
        stopping.evaluated(run, {"split": "test", "step": i, monitor: value})
        if run.reason:
            return i + 1
    return None


@pytest.mark.parametrize(
    "values, kwargs, expected",
    [
        ([3, 2, 2, 2, 2], {"patience": 2}, 4),
        ([3, 2, 2, 1, 1, 1], {"patience": 2}, 6),
        ([3, 2, 2], {"patience": 1}, 3),
        ([3, 2, 2], {"patience": 2}, None),
        ([3, 2.9, 2.8, 2.7], {"patience": 3, "min_delta": 0.5}, 4),
        ([3, 2.9, 2.8, 2.4, 2.3], {"patience": 3, "min_delta": 0.5}, None),
        ([3, 2.5], {"patience": 1, "min_delta": 0.5}, 2),  # not more than it
        ([math.nan, 3, 2, 1], {"patience": 2}, None),
        ([math.nan, math.nan], {"patience": 2}, 2),
        ([1, math.nan, math.inf, 0.5], {"patience": 2}, 3),
        ([0.1, 0.2, 0.3, 0.3], {"patience": 1, "monitor": "accuracy"}, 4),
        ([0.1, 0.2, 0.3], {"patience": 1, "monitor": "f1", "mode": "max"}, None),
        ([0.1, 0.2], {"patience": 1, "monitor": "accuracy", "mode": "min"}, 2),
    ],
)
def test_early_stopping(values, kwargs, expected):
    assert stops_at(values, **kwargs) == expected


def test_early_stopping_agrees_with_keras():
    """On noisy curves; but a first NaN, in Keras, could never be improved on."""
    import keras

    random = np.random.default_rng(0)
    stops = []
    for trial in range(40):
        values = (1 / np.arange(1, 13) + random.normal(0, 0.1, 12)).tolist()
        if trial % 4 == 0:
            values[2] = math.nan
        kwargs = {"patience": 1 + trial % 3, "min_delta": 0.05 * (trial % 2)}
        theirs = keras.callbacks.EarlyStopping(monitor="loss", **kwargs)
        theirs.set_model(SimpleNamespace(stop_training=False))
        theirs.on_train_begin()
        epoch = 0
        while epoch < 12 and not theirs.model.stop_training:
            theirs.on_epoch_end(epoch, {"loss": values[epoch]})
            epoch += 1
        expected = epoch if theirs.model.stop_training else None
        assert stops_at(values, **kwargs) == expected, (values, kwargs)
        stops.append(expected)
    assert len(set(stops)) > 3


def test_a_new_run_starts_early_stopping_anew():
    stopping = callbacks.EarlyStopping(patience=2)
    for _ in range(2):
        run = fake_run()
        stopping.begin(run)
        for value in (1.0, 2.0):
            stopping.evaluated(run, {"split": "test", "loss": value})
        assert run.reason is None and stopping.state() == {"best": 1.0, "bad": 1}


@pytest.mark.parametrize(
    "args, kwargs, words",
    [
        (("f1",), {"patience": 1}, "mode must be min or max for 'f1'"),
        ((), {"patience": 1, "mode": "up"}, "got 'up'"),
        ((), {"patience": 0}, "patience must be"),
        ((), {"patience": 1, "min_delta": -1}, "min_delta must be"),
    ],
)
def test_early_stopping_refuses(args, kwargs, words):
    with pytest.raises(ConfigError, match=words):
        callbacks.EarlyStopping(*args, **kwargs)


def test_early_stopping_names_what_an_evaluation_lacks():
    stopping = callbacks.EarlyStopping("accuracy", patience=1)
    with pytest.raises(InputError, match=r"'accuracy'.*it has split, loss"):
        stopping.evaluated(fake_run(), {"split": "test", "loss": 1.0})


def test_lr_logger_keeps_each_step_once():
    log = callbacks.LRLogger()
    log.begin(fake_run())
    for step in (1, 2, 3):
        log.trained(fake_run(), train_row(step, lr=step / 8))
    log.begin(fake_run(step=2))  # resumed from a checkpoint at step 2
    log.trained(fake_run(), train_row(3, lr=0.5))
    assert log.rates == [(1, 0.125), (2, 0.25), (3, 0.5)]


# NaN.


def guarded(backend, poison=None, batch=None, to=None):
    """Tell a guard of a loss that is NaN, by `poison` in a weight; return its words."""
    model = zoo.build(zoo.config("mnist_cnn").small(), backend)
    state = zoo.state(model)
    if poison:
        state[poison][:] = np.inf
        get_backend(model).write(model, state)
    x, labels = zoo.example_inputs(model, 4), np.arange(4, dtype=np.int32)
    run = fake_run(model=model, batch=batch or Batch((x,), labels), last_checkpoint=to)
    guard = callbacks.NaNGuard()
    guard.begin(run)
    guard.trained(run, train_row(1))
    with pytest.raises(TrainingDiverged) as caught:
        guard.trained(run, train_row(2, loss=math.nan))
    assert all(np.array_equal(v, state[k]) for k, v in zoo.state(model).items())
    assert "\n" not in str(caught.value) and "loss is nan at step 2" in str(
        caught.value
    )
    return str(caught.value)


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_nan_guard_names_the_layer_and_the_checkpoint(backend, tmp_path):
    told = guarded(backend, poison="convs.1.weight", to=tmp_path / "step-1")
    assert "'convs.1' (Conv" in told and str(tmp_path / "step-1") in told
    told = guarded(backend, poison="head.bias")
    assert "'head'" in told and "checkpoint: none" in told


def test_nan_guard_names_the_batch_or_the_loss():
    x = zoo.example_inputs(zoo.config("mnist_cnn").small(), 4)
    x[2, 0, 0] = np.nan
    bad = Batch((x,), np.arange(4, dtype=np.int32))
    assert "the inputs of this batch" in guarded("torch", batch=bad)
    bad = Batch((np.nan_to_num(x),), np.array([0, np.nan], np.float32))
    assert "the targets of this batch" in guarded("torch", batch=bad)
    assert "finite in float32, so it arose in the loss" in guarded("torch")


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_a_real_run_that_diverges_names_the_last_layer(backend):
    """The gradients of such a loss would have made NaN of the first layer, too."""
    model = zoo.build("mlp", backend, in_features=64, hidden=(8,))
    recipe = Recipe(optimizer="sgd", lr=1e30, steps=3)
    with pytest.raises(TrainingDiverged, match=r"at step 2.* 'head' .*: none\)"):
        fit(model, "digits", recipe)
