"""What a study times: the right function, compiled once, under the same settings."""

import json
import os
import subprocess
import sys
import textwrap
from unittest import mock

import numpy as np
import pytest
import torch

import zoo
from tests.representatives import inputs, small
from zoo.errors import ConfigError
from zoo.models import example_targets
from zoo.parity.tolerance import FLOAT64, compare, worst
from zoo.registry import BACKENDS, get_backend
from zoo.spec.batch import Batch
from zoo.spec.recipe import Recipe
from zoo.study.modes import MODES, find

HERE = [  # the modes of this process's Keras engine
    (backend, name)
    for backend in BACKENDS
    for name, mode in MODES[backend].items()
    if mode.exact
]
SMALL = ("cnn", "sentiment_lstm", "unet_time")


def names(backend, mode):
    """Return the models to time: torch.compile takes seconds for each."""
    return ("mlp",) if (backend, mode) == ("torch", "compile") else SMALL


def timed(name, backend, mode, **kwargs):
    """Return a small model as its mode wants it, its inputs, and the timed call."""
    here, how = get_backend(backend), find(backend, mode)
    model = here.arrange(small(name, backend, **kwargs), how.channels_last)
    xs = inputs(model, 4)
    return model, xs, here.inference(model, xs, how.compile)


@pytest.mark.parametrize("backend, mode", HERE)
def test_a_timed_forward_pass_is_what_predict_gives(backend, mode):
    for name in names(backend, mode):
        model, xs, call = timed(name, backend, mode)
        wanted = zoo.predict(model, xs)
        found = get_backend(backend).outside(call())
        assert found.shape == wanted.shape
        assert worst(compare({name: found}, {name: wanted})).error < 1e-5, name


@pytest.mark.parametrize("backend, mode", [h for h in HERE if h[0] != "torch"])
def test_a_second_call_does_not_come_by_the_models_code(backend, mode):
    model, _, call = timed("cnn", backend, mode)
    first = get_backend(backend).outside(call())
    again = AssertionError("traced again")
    with mock.patch.object(type(model), "__call__", side_effect=again):
        second = get_backend(backend).outside(call())
    np.testing.assert_allclose(second, first, rtol=1e-5, atol=1e-6)


def test_torch_compiles_one_graph_once():
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    _, _, call = timed("mlp", "torch", "compile")
    first = call()
    counters = torch._dynamo.utils.counters
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    with mock.patch.object(torch._dynamo.config, "error_on_recompile", True):
        assert torch.equal(call(), first)


def test_channels_last_goes_through_the_whole_net():
    model, _, call = timed("unet", "torch", "channels_last")
    assert call().is_contiguous(memory_format=torch.channels_last)
    convolutions = [p for p in model.parameters() if p.ndim == 4]
    last = torch.channels_last
    assert all(p.is_contiguous(memory_format=last) for p in convolutions)
    _, _, plain = timed("unet", "torch", "eager")
    assert plain().is_contiguous()


@pytest.mark.parametrize(
    "name, backend, mode",
    [
        ("mlp", "torch", "compile"),
        ("cnn", "torch", "channels_last"),
        ("unet_bn", "torch", "channels_last"),
        ("cnn", "tf", "xla"),
    ],
)
def test_a_mode_trains_the_same_weights(name, backend, mode):
    """Three steps in float64, as in the backend's first mode."""
    here, states = get_backend(backend), []
    for way in (next(iter(MODES[backend])), mode):
        how = find(backend, way)
        model = small(name, backend, dtype="float64")
        model = here.arrange(model, how.channels_last)
        kind = model.config.loss
        recipe = Recipe(optimizer="momentum", lr=0.01)
        trainer = here.Trainer(model, recipe, kind, how.compile)
        for seed in range(3):
            xs = inputs(model, 8, seed)
            targets = example_targets(zoo.predict(model, xs).shape, seed)[kind]
            trainer.step([Batch(xs, targets)], recipe.lr, [seed])
        trainer.sync()
        trainer.close()
        states.append({k: np.array(v) for k, v in here.read(model).items()})
    assert worst(compare(*states)).error < FLOAT64


def test_a_compiled_lstm_trains_in_float32():
    """PyTorch's own compiled LSTM for the CPU fails in the backward pass."""
    here, losses = get_backend("torch"), []
    for how in (False, True):
        model = small("lstm", "torch")
        kind, xs = model.config.loss, inputs(model, 4)
        trainer = here.Trainer(model, Recipe(lr=0.01), kind, how)
        targets = example_targets(zoo.predict(model, xs).shape)[kind]
        batch = [Batch(xs, targets)]
        losses.append([trainer.step(batch, 0.01, [i])[0] for i in range(3)])
        trainer.close()
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


CODE = """
    import json, sys
    from pathlib import Path
    import zoo
    from zoo.registry import get_backend
    backend, folder = sys.argv[1], Path(sys.argv[2])
    here = get_backend(backend)
    print(json.dumps(here.settle(1)))
    here.matmul(64)()
    if sys.argv[3] == "profile":
        model = zoo.build(zoo.config("cnn").small(), backend)
        call = here.inference(model, (zoo.example_inputs(model),), False)
        print(json.dumps(here.profile(call, folder)))
"""
FRESH = [
    ("torch", "eager"),
    ("tf", "function"),
    ("tf", "on_jax"),
    ("tf", "on_torch"),
    ("jax", "jit"),
]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Return {(backend, mode): (settings, profile or None, its folder)}."""
    found = {}
    for backend, mode in FRESH:
        how, folder = find(backend, mode), tmp_path_factory.mktemp(mode)
        task = "profile" if how.exact else "settle"
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(CODE), backend, str(folder), task],
            env={**os.environ, **how.env},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found[backend, mode] = (lines[0], lines[1] if how.exact else None, folder)
    return found


@pytest.mark.slow
def test_every_backend_tells_the_same_settings(fresh):
    """In a process of its own: threads are set before the first operator."""
    settings = [row[0] for row in fresh.values()]
    assert {tuple(s) for s in settings} == {tuple(settings[0])}
    for said in settings:
        assert said["TF32"] == "off"
        assert said["matmul precision"] == "highest"
    assert [s["threads"] for s in settings[:2]] == [1, 1]
    pinned = len(os.sched_getaffinity(0))
    assert [s["threads"] for s in settings[2:]] == [pinned] * 3


@pytest.mark.slow
def test_a_profile_names_what_computes(fresh):
    for key, (_, rows, folder) in fresh.items():
        if rows is None:
            continue
        heavy = ("conv", "matmul", "dot")
        times = [s for name, s, _ in rows if any(h in name.lower() for h in heavy)]
        assert times, (key, rows)
        assert all(s > 0 for s in times), (key, rows)
        assert [s for _, s, _ in rows] == sorted((s for _, s, _ in rows), reverse=True)
        assert all(calls % 3 == 0 for name, _, calls in rows if "Conv" in name)
        traces = [p for p in folder.rglob("*") if p.name.endswith((".json", ".pb"))]
        assert any(p.stat().st_size for p in traces), key


def test_inference_is_not_timed_in_training_mode():
    model, _, call = timed("cnn", "torch", "eager")
    trainer = get_backend("torch").Trainer(model, Recipe(), model.config.loss)
    with pytest.raises(ConfigError, match="close its trainer"):
        call()
    trainer.close()
    call()


def test_threads_cannot_be_set_once_an_operator_ran():
    for backend in ("torch", "tf"):
        zoo.predict(small("mlp", backend), inputs(small("mlp", backend)))
    here = get_backend("tf")
    with pytest.raises(ConfigError, match="settle must come first"):
        here.settle(7)


@pytest.mark.parametrize("optimizer", ["momentum", "adamw", "adagrad"])
def test_a_resumed_channels_last_model_goes_on_the_same(optimizer, tmp_path):
    """Fused optimizers ignore strides: moments must be stored as their weights are."""
    recipe = Recipe(optimizer=optimizer, lr=0.01, steps=6, batch_size=16)
    config = zoo.config("cnn", widths=(4, 6), image_size=8, pools=1)
    torch_backend = get_backend("torch")

    def fresh(last):
        model = zoo.build(config, "torch", dtype="float64")
        return torch_backend.arrange(model, last)

    whole = zoo.fit(fresh(False), "digits", recipe)
    first = zoo.fit(fresh(True), "digits", recipe.override(steps=3), out=tmp_path)
    model = fresh(True)
    rest = zoo.fit(model, "digits", recipe, out=tmp_path, resume=True)
    assert np.allclose(first.losses, whole.losses[:3], rtol=1e-10)
    assert np.allclose(rest.losses, whole.losses, rtol=1e-10)
