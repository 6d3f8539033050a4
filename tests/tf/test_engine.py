"""Keras trains on JAX and on torch as the other backends do, by its own methods."""

import json
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

import zoo
from zoo.errors import ConfigError
from zoo.parity.tolerance import CEILING32, EPS32, FACTOR32, compare, worst
from zoo.registry import get_backend
from zoo.spec.batch import Batch
from zoo.spec.recipe import Recipe
from zoo.tf._engine import Trainer as EngineTrainer
from zoo.tf._engine import join

# name -> what the recipe changes: batch norm, a recurrence, several inputs
CASES = {
    "cnn": {"optimizer": "sgd", "lr": 0.05},
    "mlp": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.01},
    "lstm": {"optimizer": "sgd", "lr": 0.05, "clip_norm": 0.1},
    "sentiment_lstm": {"optimizer": "adam", "lr": 0.01},
}
STEPS = 3


def config(name):
    return zoo.config(name, dropout=0.0).small()


def batches(name):
    """Return the batches of the three steps, of 8 examples each."""
    what = config(name)
    found = []
    for seed in range(STEPS):
        xs = zoo.example_inputs(what, 8, seed)
        xs = xs if isinstance(xs, tuple) else (xs,)
        shape = zoo.predict(zoo.build(what), xs).shape
        found.append(Batch(xs, zoo.models.example_targets(shape, seed)[what.loss]))
    return found


def train(trainer, parts, lr):
    losses = [trainer.step([b], lr, [i])[0] for i, b in enumerate(parts)]
    trainer.sync()
    return {"losses": np.array(losses)}


def reference(name, dtype):
    """Return losses, weights and buffers after three steps in the torch backend."""
    model = zoo.build(config(name), "torch", dtype=dtype)
    recipe = Recipe(**CASES[name])
    here = get_backend("torch")
    trainer = here.Trainer(model, recipe, model.config.loss)
    found = train(trainer, batches(name), recipe.lr)
    return found | {k: np.array(v) for k, v in here.read(model).items()}


CODE = """
    import json, os, sys
    import numpy as np, zoo
    from zoo.spec.batch import Batch
    from zoo.spec.recipe import Recipe
    from zoo.registry import get_backend
    folder, engine, cases = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    here = get_backend("tf")
    for name, (changes, inputs) in cases.items():
        model = zoo.build(zoo.config(name, dropout=0.0).small(), "tf")
        trainer = here.Trainer(model, Recipe(**changes), model.config.loss)
        losses = []
        with np.load(f"{folder}/{name}.in.npz") as given:
            for step in range(3):
                xs = tuple(given[f"x{step}_{i}"] for i in range(inputs))
                batch = Batch(xs, given[f"t{step}"])
                loss, finite = trainer.step([batch], changes["lr"], [step])
                assert finite
                losses.append(loss)
        np.savez(f"{folder}/{name}.npz", losses=losses, **here.read(model))
    others = {"torch", "jax", "tensorflow"} - {engine}
    if engine == "torch":
        others -= {"jax"}  # Keras itself imports it where it is installed
    assert not others & set(sys.modules), others & set(sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_three_steps_are_those_of_pytorch(engine, tmp_path):
    """In float32, within what float32 costs PyTorch, times the ladder's 16."""
    cases = {}
    for name, changes in CASES.items():
        arrays = {}
        for step, batch in enumerate(batches(name)):
            arrays |= {f"x{step}_{i}": x for i, x in enumerate(batch.inputs)}
            arrays[f"t{step}"] = batch.targets
        np.savez(tmp_path / f"{name}.in.npz", **arrays)
        cases[name] = (changes, len(batch.inputs))
    done = subprocess.run(
        [
            *(sys.executable, "-c", textwrap.dedent(CODE), str(tmp_path), engine),
            json.dumps(cases),
        ],
        env={**os.environ, "KERAS_BACKEND": engine},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name in CASES:
        exact, single = reference(name, "float64"), reference(name, "float32")
        own = worst(compare(single, exact)).error
        bound = min(max(FACTOR32 * own, 64 * EPS32), CEILING32)
        with np.load(tmp_path / f"{name}.npz") as found:
            error = worst(compare(dict(found), exact))
        print(f"{engine} {name}: {error.error:.1e} of {bound:.1e}")
        assert error.error <= bound, (name, error, bound)


@pytest.mark.parametrize("name", ["cnn", "mlp", "lstm"])  # no sparse gradients
def test_on_tensorflow_it_is_the_backends_own_training_to_the_last_digits(name):
    """The same steps, once through `train_on_batch`, once through tf.function."""
    recipe = Recipe(**CASES[name])
    states = []
    for trainer in (EngineTrainer, get_backend("tf").Trainer):
        model = zoo.build(config(name), "tf", dtype="float64")
        here = trainer(model, recipe, model.config.loss)
        found = train(here, batches(name), recipe.lr)
        found |= {k: np.array(v) for k, v in get_backend("tf").read(model).items()}
        here.close()
        states.append(found)
    losses = [s.pop("losses") for s in states]
    assert worst(compare(*states)).error < 1e-10
    assert abs(losses[0] - losses[1]).max() < 1e-6  # Keras's mean of losses is float32


def test_dropout_starts_from_the_key():
    def losses(key):
        model = zoo.build(zoo.config("mlp", dropout=0.5).small(), "tf")
        trainer = EngineTrainer(model, Recipe(optimizer="sgd"), model.config.loss)
        return [trainer.step([b], 0.1, [key])[0] for b in batches("mlp")]

    assert losses(1) == pytest.approx(losses(1), rel=1e-5)
    assert losses(1) != pytest.approx(losses(2), rel=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulate": 2},
        {"ema": 0.9},
        {"deterministic_dropout": True},
        {"precision": "bf16"},
        {"lr_groups": (("0.*", 0.1),)},
        {"freeze": ("0.*",)},
        {"clip_norm": 1.0, "clip_value": 1.0},
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(changes):
    model = zoo.build(config("mlp"), "tf")
    with pytest.raises(ConfigError, match=next(iter(changes)).split("_")[0]) as found:
        EngineTrainer(model, Recipe(**changes), model.config.loss)
    assert "\n" not in str(found.value)


def test_checkpoints_and_parallel_training_are_refused():
    model = zoo.build(config("mlp"), "tf")
    with pytest.raises(ConfigError, match="parallel"):
        EngineTrainer(model, Recipe(), model.config.loss, parallel=True)
    with pytest.raises(ConfigError, match="parallel"):
        join(model)
    trainer = EngineTrainer(model, Recipe(), model.config.loss)
    for call in (trainer.slots, lambda: trainer.restore({})):
        with pytest.raises(ConfigError, match=keras.backend.backend()):
            call()
