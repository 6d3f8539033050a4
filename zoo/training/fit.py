"""Train any model of the zoo, in place: `fit`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..backend import Model
from ..data import Data, Dataset, as_dataset
from ..errors import ConfigError
from ..files.weights import load_state
from ..registry import backend_of, config_key, get_backend, nearest_preset
from ..spec.metrics import MEASURES
from ..spec.recipe import Recipe
from ..version import PACKAGES, __version__, versions
from .callbacks import Callback, EarlyStopping, JSONLines, NaNGuard
from .folder import Checkpoint, RunFolder
from .history import History
from .loop import Loop, Options

# Precision -> dtype of the weights.
_DTYPES = {
    "float32": "float32",
    "float64": "float64",
    "bf16": "float32",
    "fp16": "float32",
}


def fit(
    model: Model,
    data: Data,
    recipe: Recipe | None = None,
    *,
    callbacks: Sequence[Callback] = (),
    out: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    keep: int = 3,
    resume: bool = False,
    overwrite: bool = False,
    compile: bool = False,
    parallel: bool = False,
) -> History:
    """Train a model of any backend, in place.

    Args:
        model: what `build` or `load` returned.
        data: the name of a data set (see `zoo.data`), a Dataset, or a pair of arrays
            (inputs, targets): channels last, batch first.
        recipe: how to train; None is `Recipe()`.
        callbacks: called after every step and evaluation; see
            `zoo.training.callbacks`.
        out: folder for run.json, recipe.json, metrics.jsonl and checkpoints.
        checkpoint_every: steps from one checkpoint to the next; None: at each
            evaluation. There is always one at the end.
        keep: how many of the last checkpoints stay, beside the best.
        resume: continue from the last checkpoint in `out`, whichever backend wrote it.
        overwrite: remove another run's files from `out` first.
        compile: torch.compile in PyTorch, XLA in Keras; Flax always compiles.
        parallel: share each batch with the other processes or devices of a framework's
            own launcher (docs/parallel.md); every one of them calls `fit` alike. The
            first process alone calls back and writes.

    Returns:
        The History; with `resume`, from the run's first step.

    Raises:
        ConfigError: for a recipe, data and model that do not fit each other.
        FileError: for a folder with another run in it, or one with no run to resume.
        TrainingDiverged: when the loss is not finite.
    """
    recipe = Recipe() if recipe is None else recipe
    if not isinstance(recipe, Recipe):
        raise ConfigError(f"recipe must be a Recipe; got {type(recipe).__name__}.")
    loss = recipe.loss_for(model.config)
    dataset = as_dataset(data, model.config, seed=recipe.seed, loss=loss)
    check_recipe(model, recipe)
    _check_monitor(recipe, dataset)
    _check_counts(keep=keep, checkpoint_every=checkpoint_every)
    first = get_backend(model).join(model) if parallel else True
    folder = RunFolder(out) if out is not None else None
    checkpoint = None
    if resume:
        if folder is None:
            raise ConfigError("resume continues a run in a folder: give out= as well.")
        checkpoint = _same_run(folder, recipe, describe(model, dataset))
        load_state(model, checkpoint.weights)
    elif folder is not None and first:
        folder.check_free(overwrite)
    stopper = _stopper(recipe) if first else None
    options = Options(
        callbacks=_in_order(folder, stopper, callbacks, first),
        stopper=stopper,
        folder=folder,
        checkpoint_every=checkpoint_every,
        keep=keep,
        compile=compile,
        parallel=parallel,
        first=first,
    )
    loop = Loop(model, dataset, recipe, options)
    if folder is not None and first:
        if resume:
            folder.write_recipe(recipe)
        else:
            folder.create(describe(model, dataset), recipe, overwrite)
    return loop.train(checkpoint)


def _stopper(recipe: Recipe) -> EarlyStopping | None:
    """Return the early stopping that a recipe asks for, if it does."""
    if recipe.patience is None:
        return None
    return EarlyStopping(
        recipe.monitor, patience=recipe.patience, min_delta=recipe.min_delta
    )


def _in_order(
    folder: RunFolder | None,
    stopper: EarlyStopping | None,
    given: Sequence[Callback],
    first: bool,
) -> list[Callback]:
    """Return all callbacks in the order of their calls.

    Of several processes only the first calls those that write or report.
    """
    if not first:
        return [NaNGuard()]
    log = [JSONLines(folder.metrics)] if folder else []
    return [*log, *([stopper] if stopper else ()), *given, NaNGuard()]


def _check_counts(**counts: Any) -> None:
    for name, value in counts.items():
        if value is not None and (type(value) is not int or value < 1):
            raise ConfigError(f"{name} must be a positive integer; got {value!r}.")


def _check_monitor(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse a recipe whose monitor the evaluations do not measure."""
    metrics = ("loss", *MEASURES[dataset.task])
    if recipe.monitor not in metrics:
        raise ConfigError(
            f"monitor is {recipe.monitor!r}, and this task has {', '.join(metrics)}."
        )
    needed = recipe.patience is not None or recipe.schedule == "plateau"
    if needed and not len(dataset.test):
        raise ConfigError(
            "early stopping and plateau watch an evaluation, and this data has no test"
            " examples: give from_arrays(…, test=(inputs, targets))."
        )


def check_recipe(model: Model, recipe: Recipe) -> None:
    """Raise ConfigError where a recipe does not fit a model."""
    backend = get_backend(model)
    dtype = backend.dtype_of(model)
    wanted = _DTYPES.get(recipe.precision, dtype)
    if dtype != wanted:
        raise ConfigError(
            f"precision {recipe.precision!r} trains {wanted} weights, and the model's"
            f" are {dtype}: build it with dtype={wanted!r}."
        )
    every = list(backend.shapes(model))
    for pattern in (*recipe.freeze, *(p for p, _ in recipe.lr_groups)):
        if not any(Recipe(freeze=(pattern,)).frozen(name) for name in every):
            raise ConfigError(
                f"the pattern {pattern!r} matches no weight; there are"
                f" {', '.join(every[:4])}, …"
            )
    if all(recipe.frozen(name) for name in backend.trainable(model)):
        raise ConfigError("freeze leaves no weight to train.")


def _same_run(folder: RunFolder, recipe: Recipe, now: dict[str, Any]) -> Checkpoint:
    """Return a run's last checkpoint; refuse another recipe, model or data."""
    about = folder.about()
    for name in ("architecture", "config", "data", "task", "classes", "examples"):
        if about.get(name) != now[name]:
            raise ConfigError(
                f"{folder.path} was trained with another {name}: {about.get(name)}, not"
                f" {now[name]}."
            )
    before, after = (run.get("notes", {}).get("sha256") for run in (about, now))
    if before != after:
        raise ConfigError(
            f"{folder.path} was trained on another {now['data']}: its sha256 is"
            f" {before}, not {after}."
        )
    free: dict[str, Any] = {"epochs": None, "steps": None, "precision": "auto"}
    if folder.recipe().override(**free) != recipe.override(**free):
        raise ConfigError(
            f"{folder.path} was trained by another recipe; resume it with its own, or"
            " start a new run from its weights."
        )
    return folder.read()


def describe(model: Model, data: Dataset) -> dict[str, Any]:
    """Return the contents of run.json for a model and its data."""
    preset, overrides = nearest_preset(model.config)
    installed = versions()
    return {
        "preset": preset,
        "overrides": overrides,
        "architecture": config_key(model.config),
        "config": model.config.to_dict(),
        "dtype": get_backend(model).dtype_of(model),
        "backend": backend_of(model),
        "data": data.name,
        "data_path": data.path,
        "task": data.task,
        "classes": list(data.classes),
        "examples": [len(data.train), len(data.test)],
        "notes": data.notes,
        "versions": {"zoo": __version__} | {p: installed.get(p) for p in PACKAGES},
    }
