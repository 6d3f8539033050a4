"""The start of a run: a config that fits its data, and the first weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .. import data as datasets
from ..backend import Model
from ..configs._base import Config
from ..data import Dataset
from ..errors import ConfigError
from ..files.safetensors import read_file
from ..files.weights import config_of, load, load_state, state
from ..models import build as build_model
from ..models import construct
from ..spec.recipe import Recipe
from .folder import Checkpoint, RunFolder


class Weights(NamedTuple):
    """A file with the first weights, and its config."""

    file: Path
    config: Config
    checkpoint: Checkpoint | None  # of which the file is a part
    foreign: bool  # whether another program wrote it


class Start(NamedTuple):
    """A config fitted to data, and weights to start from, if any."""

    config: Config
    data: str
    weights: Weights | None
    changed: Mapping[str, Any]  # fields that were changed to fit the data


def resolve(
    name: str,
    config: Config,
    data: str | None = None,
    *,
    keep: Collection[str] = (),
    init_from: Path | None = None,
) -> Start:
    """Return a preset's config, fitted to the data.

    Args:
        name: of the preset, for messages.
        config: its config, already changed by hand.
        data: name of a data set; None: the embedded one that fits.
        keep: fields that were set by hand, and are not changed to fit the data.
        init_from: a model file, or a run's folder, with the first weights. Then
            their config is used, and only its classes are fitted to the data.

    Raises:
        ConfigError: for data or weights that do not fit the preset.
        FileError: for a file that cannot be read.
    """
    weights = None
    if init_from is not None:
        weights = _weights(init_from, config)
        if type(weights.config) is not type(config):
            kinds = [
                type(c).__name__.removesuffix("Config")
                for c in (weights.config, config)
            ]
            raise ConfigError(
                f"{weights.file} holds a {kinds[0]}, and {name} is a {kinds[1]}."
            )
        config = weights.config.override(**{k: getattr(config, k) for k in keep})
    data = data or datasets.usual(name, config)
    changed = datasets.overrides(data, config, keep=keep)
    if weights is not None:
        changed = {k: v for k, v in changed.items() if k == "num_classes"}
    return Start(config.override(**changed), data, weights, changed)


def _weights(path: Path, preset: Config) -> Weights:
    """Return the weights of a file, or of a run's best checkpoint, or else its last."""
    checkpoint = None
    if path.is_dir():
        folder = RunFolder(path)
        folder.about()  # or the error that this is no run
        best = (folder.best() or {}).get("step")
        checkpoint = folder.read(best if best in folder.steps() else None)
        path = checkpoint.path / "model.safetensors"
    _, metadata = read_file(path)
    foreign = "architecture" not in metadata
    config = config_of(path, metadata, preset if foreign else None, {})
    return Weights(path, config, checkpoint, foreign)


def read_data(start: Start, recipe: Recipe, path: Path | None = None) -> Dataset:
    """Return the data of a start, for the loss and the seed of a recipe."""
    loss = recipe.loss_for(start.config)
    return datasets.load(
        start.data, start.config, seed=recipe.seed, path=path, loss=loss
    )


def build(
    start: Start, recipe: Recipe, backend: str = "torch", device: str | None = None
) -> Model:
    """Return the model with its first weights, in the recipe's dtype."""
    dtype = "float64" if recipe.precision == "float64" else "float32"
    where: dict[str, Any] = {"dtype": dtype, "device": device}
    if start.weights is None:
        return build_model(start.config, backend, seed=recipe.seed, **where)
    return _loaded(start, start.weights, backend, recipe.seed, where)


def _loaded(
    start: Start, weights: Weights, backend: str, seed: int, where: dict[str, Any]
) -> Model:
    """Return the file's model, with a new head if the classes differ."""
    classes = getattr(start.config, "num_classes", None)
    name = weights.config if weights.foreign else None
    model = load(
        weights.file, backend, name=name, num_classes=classes, seed=seed, **where
    )
    if weights.checkpoint is None and model.config == start.config:
        return model
    arrays = state(model)
    if weights.checkpoint is not None:  # prefer the moving average
        averaged = weights.checkpoint.averaged.items()
        arrays |= {n: a for n, a in averaged if a.shape == arrays[n].shape}
    if model.config != start.config:  # changed by hand, such as dropout
        model = construct(start.config, backend, **where)
    load_state(model, arrays)
    return model
