"""Open a run's folder again: its model (`revive`), its data too, or to train on.

Any backend continues a run of any other.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from ..backend import Model
from ..data import Dataset
from ..data import load as load_dataset
from ..errors import ConfigError, FileError
from ..files.weights import load_state
from ..models import construct
from ..registry import config_from_key
from ..spec.recipe import Recipe
from .fit import fit
from .folder import Checkpoint, RunFolder
from .history import History

ARRAYS = "arrays"  # the name that `from_arrays` gives a data set


class Revived(NamedTuple):
    """A run's model with the weights of a checkpoint, and the rest of the run."""

    model: Model
    recipe: Recipe
    checkpoint: Checkpoint
    about: dict[str, Any]  # the contents of run.json


def revive(
    folder: RunFolder,
    backend: str | None = None,
    *,
    device: str | None = None,
    step: int | None = None,
    averaged: bool = False,
) -> Revived:
    """Return a run's model with the weights of a checkpoint.

    Args:
        folder: the run's.
        backend: to build in; None: the one that the run began in.
        device: as in `build`.
        step: of the checkpoint; None: the last.
        averaged: take the averaged weights if the run has them.

    Raises:
        FileError: for a folder without such a checkpoint, or with damaged files.
    """
    about, recipe = folder.about(), folder.recipe()
    try:
        config = config_from_key(about["architecture"], about["config"])
        dtype, backend = about["dtype"], backend or about["backend"]
    except KeyError as error:
        raise FileError(f"{folder.path / 'run.json'} lacks {error}.") from None
    checkpoint = folder.read(step)
    model = construct(config, backend, dtype=dtype, device=device)
    load_state(model, checkpoint.averaged if averaged else checkpoint.weights)
    return Revived(model, recipe, checkpoint, about)


def rebuild(
    path: str | os.PathLike[str],
    backend: str | None = None,
    *,
    device: str | None = None,
    step: int | None = None,
) -> tuple[Model, Dataset, Recipe, Checkpoint]:
    """Return a run's model, its data, its recipe and a checkpoint.

    Args:
        path: the run's folder.
        backend, device, step: as in `revive`.
    """
    folder = RunFolder(path)
    model, recipe, checkpoint, about = revive(folder, backend, device=device, step=step)
    name = about.get("data")
    if not isinstance(name, str):
        raise FileError(f"{folder.path / 'run.json'} lacks 'data'.")
    if name == ARRAYS:
        raise ConfigError(
            f"{folder.path} was trained on arrays, which it does not store: continue"
            " with zoo.fit(model, (inputs, targets), recipe, out=…, resume=True)."
        )
    where = {"path": about.get("data_path"), "loss": recipe.loss_for(model.config)}
    data = load_dataset(name, model.config, seed=recipe.seed, **where)
    return model, data, recipe, checkpoint


def resume(
    path: str | os.PathLike[str],
    backend: str | None = None,
    *,
    device: str | None = None,
    **options: Any,
) -> tuple[Model, History]:
    """Continue a run from its last checkpoint, in its own backend or in another.

    Args:
        path: the run's folder.
        backend: to continue in; None: the one that the run began in.
        device: as in `build`.
        **options: callbacks, checkpoint_every, keep, compile and parallel, as in
            `fit`.

    Returns:
        The model and the History from the run's first step.
    """
    model, data, recipe, _ = rebuild(path, backend, device=device)
    return model, fit(model, data, recipe, out=path, resume=True, **options)
