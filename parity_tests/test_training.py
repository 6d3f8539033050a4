"""Training is the same training: optimizers, families, precisions, resume by files."""

import json
import re
import shutil

import jax
import numpy as np
import pytest

import zoo
from parity_tests.matrix import MODELS, pairwise
from tests.representatives import REPRESENTATIVES
from zoo.parity import trajectory
from zoo.parity.trajectory import TRAJECTORY64
from zoo.registry import BACKENDS, presets
from zoo.spec.recipe import OPTIMIZERS, Recipe
from zoo.training import progress

pytestmark = pytest.mark.usefixtures("optimised")  # hundreds of steps


@pytest.mark.parametrize("cell", pairwise(), ids=str)
def test_optimizers_schedules_and_clipping(cell):
    report = cell.prove()
    assert report.ok, str(report)


def test_the_subset_holds_every_pair():
    cells = pairwise()
    assert {c.optimizer for c in cells} == set(OPTIMIZERS)
    for a, b in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]:
        wanted = len({c[a] for c in cells}) * len({c[b] for c in cells})
        assert len({(c[a], c[b]) for c in cells}) == wanted


def trained(name, **changes):
    """Walk the training rungs of a small preset, dropout on where it has any."""
    config = presets()[name].small()
    if hasattr(config, "dropout"):
        config = config.override(dropout=0.2)
    recipe = trajectory.RECIPE.override(**changes)
    return zoo.check(
        config, rungs=("names",), batch=8, train=recipe, steps=50, dtypes=("float64",)
    )


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_every_kind_of_model(name):
    report = trained(name)
    assert report.ok, f"{name}\n{report}"


def test_accumulation_is_the_same_in_every_backend_and_the_same_as_one_batch():
    runs = {}
    for parts in (1, 3):
        for backend in BACKENDS:
            recipe = Recipe(
                optimizer="adam", accumulate=parts, steps=10, batch_size=32, ema=0.9
            )
            runs[parts, backend] = fitted("mlp", backend, recipe)
    for run in runs.values():
        assert close(run.losses, runs[1, "torch"].losses) < 1e-12


def fitted(model, backend, recipe, dtype="float64", **options):
    """Train one of MODELS on the digits."""
    config = MODELS[model].override(num_classes=10)
    return zoo.fit(zoo.build(config, backend, dtype=dtype), "digits", recipe, **options)


def close(a, b):
    return float(np.abs(np.subtract(a, b)).max() / np.abs(b).max())


@pytest.mark.parametrize("first", BACKENDS)
def test_a_run_goes_on_in_every_other_backend(first, tmp_path):
    """Everything that has a state: EMA, plateau, early stopping, dropout, crops."""
    recipe = Recipe(
        optimizer="adamw",
        lr=5e-3,
        schedule="plateau",
        plateau_patience=0,
        ema=0.8,
        clip_norm=1.0,
        weight_decay=0.01,
        patience=50,
        batch_size=200,
        steps=20,
        evaluate_every=3,
        augment=("crop", "rotate"),
        deterministic_dropout=True,
    )
    config = MODELS["cnn"].override(num_classes=10, dropout=0.3)
    whole = zoo.fit(zoo.build(config, "torch", dtype="float64"), "digits", recipe)
    for second in BACKENDS:
        folder = tmp_path / second
        model = zoo.build(config, first, dtype="float64")
        # stopped from outside, in the midst of an epoch
        with pytest.raises(KeyboardInterrupt):
            zoo.fit(
                model,
                "digits",
                recipe,
                out=folder,
                checkpoint_every=4,
                callbacks=[_Interrupt(10)],
            )
        model, history = zoo.resume(folder, second)
        assert zoo.backend_of(model) == second
        assert close(history.losses, whole.losses) < TRAJECTORY64
        for ours, theirs in zip(history.evaluations, whole.evaluations):
            assert close(ours["loss"], theirs["loss"]) < TRAJECTORY64
            assert ours["accuracy"] == theirs["accuracy"]
        assert history.best["step"] == whole.best["step"]
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        steps = [r["step"] for r in map(json.loads, lines) if r["split"] == "train"]
        assert steps == list(range(1, 21))
        rates = [r["lr"] for r in history.rows if r["split"] == "train"]
        wanted = [r["lr"] for r in whole.rows if r["split"] == "train"]
        assert rates == wanted


class _Interrupt(zoo.Callback):
    def __init__(self, step):
        self.step = step

    def trained(self, run, row):
        if row["step"] == self.step:
            raise KeyboardInterrupt


# How far losses may be from float32's in the same backend, in the mean and at most;
# measured: bf16 7e-4 and 2.4e-3, fp16 4e-4 and 1.8e-3.
BANDS = {"bf16": (2e-3, 1e-2), "fp16": (1e-3, 6e-3)}


@pytest.mark.parametrize("precision", BANDS)
@pytest.mark.parametrize("model", MODELS)
def test_half_precision_stays_within_its_band(model, precision):
    recipe = Recipe(optimizer="momentum", lr=0.02, batch_size=64, steps=40)
    half = recipe.override(precision=precision)
    mean, most = BANDS[precision]
    for backend in BACKENDS:
        full = fitted(model, backend, recipe, "float32")
        found = fitted(model, backend, half, "float32")
        gaps = np.abs(full.losses - found.losses)
        assert 0 < gaps.mean() < mean, (backend, gaps.mean())
        assert gaps.max() < most, (backend, gaps.max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_fp16_survives_an_overflow(backend, monkeypatch):
    """A scale that is too large skips updates, and is halved until it fits."""
    scales = []
    update = progress.LossScale.update

    def spy(self, finite):
        scales.append((self.value, finite))
        update(self, finite)

    monkeypatch.setattr(progress.LossScale, "update", spy)
    recipe = Recipe(optimizer="sgd", lr=0.02, precision="fp16", steps=60, batch_size=1)
    run = fitted("mlp", backend, recipe, "float32")
    skipped = [scale for scale, finite in scales if not finite]
    assert 1 <= len(skipped) < 8  # and goes on
    assert scales[-1][0] == 65536 / 2 ** len(skipped)
    assert np.isfinite(run.losses).all()


@pytest.mark.parametrize("name", ["row_lstm", "vit", "cnn", "gpt", "unet"])
def test_flax_computes_in_half_throughout(name):
    """No matmul of a bf16 step is in float32: inputs are cast, too."""
    config = presets()[name].small()
    model = zoo.build(config, "jax")
    trainer = zoo.registry.get_backend("jax").Trainer(
        model, Recipe(precision="bf16"), config.loss, False
    )
    inputs = zoo.models.as_inputs(config, zoo.example_inputs(model))
    shape = zoo.predict(model, inputs).shape
    targets = zoo.models.example_targets(shape)[config.loss]
    keys, numbers = np.zeros(1, np.uint32), np.ones(2, np.float32)
    step = jax.make_jaxpr(trainer._update)(
        trainer.carry, [(inputs, targets)], numbers, keys
    )
    kinds = "dot_general|conv_general_dilated"
    assert re.search(rf":bf16\[[\d,]*\] = ({kinds})", str(step))
    assert not re.findall(rf":f32\[[\d,]*\] = ({kinds})", str(step))


def test_every_backend_evaluates_in_full_precision():
    for backend in BACKENDS:
        model = zoo.build(MODELS["mlp"], backend)
        recipe = Recipe(precision="bf16", steps=3)
        last = zoo.fit(model, "digits", recipe).evaluations[-1]
        assert last["loss"] == pytest.approx(zoo.evaluate(model, "digits")["loss"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_frozen_statistics_leave_the_norm_to_learn(backend, tmp_path):
    recipe = Recipe(optimizer="momentum", lr=0.05, steps=6, freeze=("*running_*",))
    config = MODELS["cnn"].override(num_classes=10)
    model = zoo.build(config, backend, dtype="float64")
    before = zoo.state(model)
    whole = zoo.fit(model, "digits", recipe, out=tmp_path, checkpoint_every=3)
    after = zoo.state(model)
    assert np.array_equal(before["norms.0.running_mean"], after["norms.0.running_mean"])
    assert not np.array_equal(before["norms.0.weight"], after["norms.0.weight"])
    reference = fitted("cnn", "torch", recipe)
    assert close(whole.losses, reference.losses) < 1e-12
    shutil.rmtree(tmp_path / "checkpoints" / "step-00000006")
    for other in BACKENDS:
        shutil.copytree(tmp_path, tmp_path.parent / f"{backend}-{other}")
        _, again = zoo.resume(tmp_path.parent / f"{backend}-{other}", other)
        assert close(again.losses, reference.losses) < 1e-12
