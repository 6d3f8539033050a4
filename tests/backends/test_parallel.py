"""Data parallel training: two workers are one worker with the whole batch."""

import json
import os
import runpy
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.errors import ConfigError
from zoo.training.fit import fit

ROOT = Path(__file__).parents[2]
BOUND = 1e-10
SCRIPT = '''
import contextlib
import os
import sys
from pathlib import Path

import numpy as np

import zoo
from zoo.training.callbacks import Callback
from zoo.data import from_arrays
from zoo.errors import InputError
from zoo.spec.recipe import Recipe
from zoo.training.fit import fit

RECIPE = Recipe(
    optimizer="momentum", lr=0.05, batch_size=8, steps=4, deterministic_dropout=True
)
CNN = RECIPE.override(accumulate=2)
NATIVE = RECIPE.override(deterministic_dropout=False, steps=1)
MLP = RECIPE.override(
    optimizer="adamw", weight_decay=0.01, clip_norm=0.5, ema=0.9, evaluate_every=1
)
random = np.random.default_rng(0)
y = random.integers(0, 4, 23).astype(np.int32)  # batches of 8, 8 and 7


def data(*shape):
    x = random.normal(size=(len(y), *shape))
    return from_arrays(x, y, (x[:5], y[:5]))


VECTORS, IMAGES = data(6), data(8, 8, 2)


def mlp(backend):
    changes = {"in_features": 6, "hidden": (8,), "num_classes": 4, "dropout": 0.2}
    return zoo.build("mlp", backend, seed=1, dtype="float64", **changes)


def cnn(backend):
    config = zoo.config(
        "cnn", in_channels=2, image_size=8, widths=(4,), hidden=(5,), num_classes=4
    )
    config = config.override(norm="batch", dropout=0.2)
    return zoo.build(config, backend, seed=1, dtype="float64")


class Stop(Callback):
    """After the fourth step; leaves a trace of who called it."""

    def __init__(self, place, rank):
        self.trace = place / f"called-{rank}"

    def trained(self, run, row):
        self.trace.touch()
        if row["step"] == 4:
            run.stop("enough")


def kept(name, model, history):
    found = {f"{name}/{k}": np.array(v) for k, v in zoo.state(model).items()}
    return found | {
        f"{name}/losses": history.losses,
        f"{name}/tested": np.array([row["loss"] for row in history.evaluations]),
    }


def alone(backend):
    model = mlp(backend)
    found = kept("mlp", model, fit(model, VECTORS, MLP))
    model = cnn(backend)
    found |= kept("cnn", model, fit(model, IMAGES, CNN))
    model = mlp(backend)
    return found | kept("native", model, fit(model, VECTORS, NATIVE))


def parallel(backend, place, rank):
    # The MLP in two runs, the second ended by a callback.
    model, out = mlp(backend), place / "run"
    fit(model, VECTORS, MLP.override(steps=2), out=out, parallel=True)
    model, stop = mlp(backend), Stop(place, rank)
    how = {"out": out, "resume": True, "callbacks": [stop], "parallel": True}
    history = fit(model, VECTORS, MLP.override(steps=9), **how)
    found = kept("mlp", model, history) | {"stopped": np.array(history.stopped)}
    model = cnn(backend)
    found |= kept("cnn", model, fit(model, IMAGES, CNN, parallel=True))
    model, refused = mlp(backend), ""
    try:
        fit(model, VECTORS, NATIVE.override(batch_size=1), parallel=True)
    except InputError as error:
        refused = str(error)
    model = mlp(backend)
    history = fit(model, VECTORS, NATIVE, parallel=True)
    found |= kept("native", model, history) | {"refused": np.array(refused)}
    return found


def main(how, place, rank=0, port=0):
    backend, scope = how.partition(" ")[0], contextlib.nullcontext()
    if how == "torch":
        rank = int(os.environ["RANK"])
    elif how == "jax processes":
        import jax

        jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(rank))
    elif how == "tf processes":
        import tensorflow as tf

        scope = tf.distribute.MultiWorkerMirroredStrategy().scope()
    elif how == "tf devices":
        import tensorflow as tf

        [cpu] = tf.config.list_physical_devices("CPU")
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
        scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()
    with scope:
        found = parallel(backend, Path(place), rank)
    np.savez(Path(place) / f"{rank}.npz", **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
'''


@cache
def alone(backend, script):
    return runpy.run_path(str(script))["alone"](backend)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "train.py"
    path.write_text(SCRIPT)
    return path


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def commands(how, script, place):
    """Return (command, environment) of each process to start."""
    run = [sys.executable, str(script), how, str(place)]
    ports = [free_port(), free_port()]
    if how == "torch":
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        return [([sys.executable, *launcher, *run[1:]], {})]
    if how == "jax devices":
        return [(run, {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"})]
    if how == "tf devices":
        return [(run, {})]
    found = []
    for rank in range(2):
        cluster = {"worker": [f"127.0.0.1:{p}" for p in ports]}
        task = {"type": "worker", "index": rank}
        config = json.dumps({"cluster": cluster, "task": task})
        found.append(([*run, str(rank), str(ports[0])], {"TF_CONFIG": config}))
    return found


def launch(how, script, place):
    """Run the script by its framework's own means; return what each process left."""
    here = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    logs, running = [], []
    try:
        for i, (command, changes) in enumerate(commands(how, script, place)):
            logs.append(place / f"log-{i}")
            with logs[-1].open("w") as log:
                environment = os.environ | here | changes
                streams = {"stdout": log, "stderr": subprocess.STDOUT}
                running.append(subprocess.Popen(command, env=environment, **streams))
        codes = [process.wait(timeout=400) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    told = "\n".join(log.read_text()[-3000:] for log in logs)
    assert not any(codes), told
    return [dict(np.load(path)) for path in sorted(place.glob("*.npz"))]


WAYS = ["torch", "jax processes", "jax devices", "tf processes", "tf devices"]


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.filterwarnings("ignore:switched JAX to 64 bits")
def test_two_workers_are_one_with_the_whole_batch(how, script, tmp_path):
    backend, processes = how.partition(" ")[0], 1 if "devices" in how else 2
    wanted = alone(backend, script)
    results = launch(how, script, tmp_path)
    assert len(results) == processes
    for found in results:
        assert set(wanted) <= set(found)
        for name, array in wanted.items():
            assert found[name].shape == array.shape, name
            # The framework's own dropout draws anew on each worker, save for JAX.
            if backend == "jax" or not name.startswith("native"):
                assert abs(found[name] - array).max() <= BOUND, name
            assert abs(found[name] - results[0][name]).max() <= BOUND, name
    assert len(set(wanted["cnn/losses"])) == 4, "it trains"
    assert wanted["cnn/norms.0.running_var"].std() > 0

    # The first process alone wrote and was called back; what it decided held for all.
    assert sorted(p.name for p in tmp_path.glob("called-*")) == ["called-0"]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    steps = [r["step"] for r in map(json.loads, lines) if r["split"] == "train"]
    assert steps == [1, 2, 3, 4]
    stopped = [str(r["stopped"]) for r in results]
    assert stopped == ["enough", "the first process ended the run"][:processes]

    # Fewer examples than workers: JAX has each device do all of it.
    refused = {str(r["refused"]) for r in results}
    assert len(refused) == 1
    [line] = refused
    assert (line == "") == (backend == "jax")
    if line:
        assert "each of 2 workers" in line and "batch_size" in line and "\n" not in line


def digits(backend, **changes):
    return zoo.build("mlp", backend, in_features=64, hidden=(4,), **changes)


def test_without_a_launcher_it_is_refused(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match="torchrun --nproc-per-node"):
        fit(digits("torch"), "digits", parallel=True)
    with pytest.raises(ConfigError, match=r"strategy\.scope"):
        fit(digits("tf"), "digits", parallel=True)


def test_a_keras_model_of_another_scope_is_refused():
    model = digits("tf")
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        with pytest.raises(ConfigError, match="outside of this strategy"):
            fit(model, "digits", parallel=True)
        with pytest.raises(ConfigError, match="leave one out"):
            fit(digits("tf"), "digits", parallel=True, compile=True)
