"""Train and evaluate any model of the zoo: `fit`, `evaluate`, `resume`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .backend import Model
from .callbacks import Callback
from .datasets import Dataset, from_arrays
from .datasets import load as load_dataset
from .errors import ConfigError, FileError
from .loop import History, Loop, Run, measure
from .metrics import MEASURES
from .models import build
from .recipe import Recipe
from .registry import (
    backend_of,
    config_from_key,
    config_key,
    nearest_preset,
    room_of,
)
from .runs import Checkpoint, Folder
from .weights import load_state

__all__ = ["History", "Run", "describe", "evaluate", "fit", "rebuild", "resume"]

ARRAYS = "arrays"  # name of a data set made by `from_arrays`
Data = Dataset | str | tuple[Any, Any]
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
    """Train a model of any room, in place.

    Args:
        model: what `build` or `load` returned.
        data: the name of a data set (see `zoo.datasets`), a Dataset, or a pair of
            arrays (inputs, targets): channels last, batch first.
        recipe: how; None is `Recipe()`.
        callbacks: what watches the run; see `zoo.callbacks`.
        out: folder for run.json, recipe.json, metrics.jsonl and checkpoints.
        checkpoint_every: steps from one checkpoint to the next; None: at each
            evaluation. There is always one at the end.
        keep: how many of the last checkpoints stay, beside the best.
        resume: go on from the last checkpoint in `out`, whichever room wrote it.
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
    recipe = recipe or Recipe()
    loss = loss_of(model, recipe)
    dataset = as_dataset(data, model.config, recipe, loss)
    check_recipe(model, recipe)
    if not isinstance(recipe, Recipe):
        raise ConfigError(f"recipe must be a Recipe; got {type(recipe).__name__}.")
    if recipe.monitor not in ("loss", *MEASURES[dataset.task]):
        raise ConfigError(
            f"monitor is {recipe.monitor!r}, and this task has"
            f" {', '.join(('loss', *MEASURES[dataset.task]))}."
        )
    needs = recipe.patience is not None or recipe.schedule == "plateau"
    if needs and not len(dataset.test):
        raise ConfigError(
            "early stopping and plateau watch an evaluation, and this data has no test"
            " examples: give from_arrays(…, test=(inputs, targets))."
        )
    for name, value in (("keep", keep), ("checkpoint_every", checkpoint_every)):
        if value is not None and (type(value) is not int or value < 1):
            raise ConfigError(f"{name} must be a positive integer; got {value!r}.")
    first = room_of(model).join(model) if parallel else True
    folder = Folder(out) if out is not None else None
    checkpoint = None
    if resume:
        if folder is None:
            raise ConfigError("resume goes on from a folder: give out= as well.")
        checkpoint = _checked(folder, recipe, describe(model, dataset))
        load_state(model, checkpoint.weights)
    elif folder is not None and first:
        folder.check_free(overwrite)
    loop = Loop(
        model,
        dataset,
        recipe,
        loss,
        callbacks,
        folder,
        checkpoint_every,
        keep,
        compile,
        parallel,
        first,
    )
    if folder is not None and first:
        if resume:
            folder.write_recipe(recipe)
        else:
            folder.create(describe(model, dataset), recipe, overwrite)
    return loop.run(checkpoint)


def as_dataset(data: Data, config: Any, recipe: Recipe, loss: str) -> Dataset:
    """Return data fitted to a config, from whatever `fit` takes."""
    if isinstance(data, str):
        return load_dataset(data, config, seed=recipe.seed, loss=loss)
    if isinstance(data, tuple) and len(data) == 2:
        return from_arrays(*data)
    if isinstance(data, Dataset):
        return data
    raise ConfigError(
        "data must be the name of a data set, a Dataset, or (inputs, targets); got"
        f" {type(data).__name__}."
    )


def check_recipe(model: Model, recipe: Recipe) -> None:
    """Raise ConfigError where a recipe does not fit a model."""
    dtype = room_of(model).dtype_of(model)
    wanted = _DTYPES.get(recipe.precision, dtype)
    if dtype != wanted:
        raise ConfigError(
            f"precision {recipe.precision!r} trains {wanted} weights, and the model's"
            f" are {dtype}: build it with dtype={wanted!r}."
        )
    names = list(room_of(model).trainable(model))
    every = list(room_of(model).shapes(model))
    for pattern in (*recipe.freeze, *(p for p, _ in recipe.lr_groups)):
        if not any(Recipe(freeze=(pattern,)).frozen(n) for n in every):
            raise ConfigError(
                f"the pattern {pattern!r} matches no weight; there are"
                f" {', '.join(every[:4])}, …"
            )
    if all(recipe.frozen(n) for n in names):
        raise ConfigError("freeze leaves no weight to train.")


def _checked(folder: Folder, recipe: Recipe, now: dict[str, Any]) -> Checkpoint:
    """Return the last checkpoint, of a run with this recipe on these data."""
    about = folder.about()
    for name in ("architecture", "config", "data", "task", "classes", "examples"):
        if about.get(name) != now[name]:
            raise ConfigError(
                f"{folder.path} was trained with another {name}: {about.get(name)}, not"
                f" {now[name]}."
            )
    digests = [found.get("notes", {}).get("sha256") for found in (about, now)]
    if digests[0] != digests[1]:
        raise ConfigError(
            f"{folder.path} was trained on another {now['data']}: its sha256 is"
            f" {digests[0]}, not {digests[1]}."
        )
    free: dict[str, Any] = {"epochs": None, "steps": None, "precision": "auto"}
    if folder.recipe().override(**free) != recipe.override(**free):
        raise ConfigError(
            f"{folder.path} was trained by another recipe; resume it with its own, or"
            " start a new run from its weights."
        )
    return folder.read()


def describe(model: Model, data: Dataset) -> dict[str, Any]:
    """Return what run.json says of a model and its data."""
    from importlib.metadata import PackageNotFoundError, version

    from . import __version__

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    packages = ("numpy", "torch", "tensorflow", "keras", "jax", "flax", "optax")
    preset, overrides = nearest_preset(model.config)
    return {
        "preset": preset,
        "overrides": overrides,
        "architecture": config_key(model.config),
        "config": model.config.to_dict(),
        "dtype": room_of(model).dtype_of(model),
        "backend": backend_of(model),
        "data": data.name,
        "data_path": data.path,
        "task": data.task,
        "classes": list(data.classes),
        "examples": [len(data.train), len(data.test)],
        "notes": data.notes,
        "versions": {"zoo": __version__} | {p: installed(p) for p in packages},
    }


def loss_of(model: Model, recipe: Recipe) -> str:
    """Return the loss: the recipe's, or else the model's own."""
    loss = model.config.loss if recipe.loss == "auto" else recipe.loss
    if recipe.label_smoothing and loss != "cross_entropy":
        raise ConfigError(f"label_smoothing is cross_entropy's; this loss is {loss!r}.")
    return loss


def evaluate(
    model: Model, data: Data, *, batch_size: int = 256, recipe: Recipe | None = None
) -> dict[str, float]:
    """Return the loss and the task's measures of a model on the test examples.

    Args:
        model: of any room; it runs in eval mode, in its own dtype.
        data: as in `fit`; a pair of arrays is tested as a whole.
        batch_size: examples in a forward pass; the result does not depend on it.
        recipe: gives loss and seed of the split; None is `Recipe()`.
    """
    recipe = recipe or Recipe()
    loss = loss_of(model, recipe)
    dataset = as_dataset(data, model.config, recipe, loss)
    examples = dataset.train if isinstance(data, tuple) else dataset.test
    return measure(model, dataset, examples, loss, batch_size)


def rebuild(
    path: str | os.PathLike[str],
    backend: str | None = None,
    *,
    device: str | None = None,
    step: int | None = None,
) -> tuple[Model, Dataset, Recipe, Checkpoint]:
    """Return a run's model, with a checkpoint's weights, its data and its recipe.

    Args:
        path: the run's folder.
        backend: room to build in; None: the one that the run began in.
        device: as in `build`.
        step: of the checkpoint; None: the last.
    """
    folder = Folder(path)
    about, recipe = folder.about(), folder.recipe()
    try:
        config = config_from_key(about["architecture"], about["config"])
        name, dtype = about["data"], about["dtype"]
        backend = backend or about["backend"]
    except KeyError as error:
        raise FileError(f"{folder.path / 'run.json'} lacks {error}.") from None
    checkpoint = folder.read(step)
    model = build(config, backend, dtype=dtype, device=device)
    load_state(model, checkpoint.weights)
    if name == ARRAYS:
        raise ConfigError(
            f"{folder.path} learned arrays, which it does not hold: go on with"
            " zoo.fit(model, (inputs, targets), recipe, out=…, resume=True)."
        )
    where = {"path": about.get("data_path"), "loss": loss_of(model, recipe)}
    data = load_dataset(name, config, seed=recipe.seed, **where)
    return model, data, recipe, checkpoint


def resume(
    path: str | os.PathLike[str],
    backend: str | None = None,
    *,
    device: str | None = None,
    **options: Any,
) -> tuple[Model, History]:
    """Go on with a run from its last checkpoint, in its own room or in another.

    Args:
        path: the run's folder.
        backend: room to go on in; None: the one that the run began in.
        device: as in `build`.
        **options: callbacks, checkpoint_every, keep, compile and parallel, as in
            `fit`.

    Returns:
        The model and the History from the run's first step.
    """
    model, data, recipe, _ = rebuild(path, backend, device=device)
    return model, fit(model, data, recipe, out=path, resume=True, **options)
