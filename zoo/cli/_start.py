"""What a run begins with: a preset fitted to data, and its first weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from .. import datasets
from ..backend import Model
from ..configs._base import Config
from ..datasets import Dataset
from ..errors import ConfigError
from ..models import build as build_model
from ..recipe import Recipe
from ..registry import room_name
from ..runs import Checkpoint, Folder
from ..weights import config_of, load, load_state, read_file, state
from . import _options, _terminal, _trained

_FLAGS = (
    click.option("--data", metavar="|".join(datasets.names()), help="What to learn."),
    click.option(
        "--data-path",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Where the files of mnist or cifar10 are.",
    ),
    click.option("--backend", metavar="torch|tf|jax", help="torch by default."),
    click.option("--device", help="cpu, cuda, cuda:1, gpu:0 …"),
    _options.small,
    _options.changes,
)


def options(command: Any) -> Any:
    """Give a command the options for its data, its room and its config."""
    for option in reversed(_FLAGS):
        command = option(command)
    return command


class Weights(NamedTuple):
    """A file with the first weights, and whose they are."""

    file: Path
    config: Config
    checkpoint: Checkpoint | None  # that the file is of
    foreign: bool  # not written by zoo


class Start(NamedTuple):
    """A config fitted to data, and weights to begin with if there are such."""

    config: Config
    data: str
    weights: Weights | None


def resolve(
    name: str,
    small: bool,
    changes: Sequence[str],
    data: str | None,
    init_from: Path | None = None,
) -> Start:
    """Return a preset's config as the data wants it, save for what --set says.

    With weights it is their config, of which the data may change only the classes.
    """
    config, by_hand = _options.resolve(name, small, changes), _options.settings(changes)
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
        config = weights.config.override(**by_hand)
    data = data or datasets.usual(name, config)
    wanted = {
        field: value
        for field, value in datasets.overrides(data, config).items()
        if field not in by_hand and (weights is None or field == "num_classes")
    }
    if wanted:
        told = ", ".join(f"{field}={value}" for field, value in wanted.items())
        click.echo(f"zoo: {name} for {data}: {told}", err=True)
    return Start(config.override(**wanted), data, weights)


def _weights(path: Path, preset: Config) -> Weights:
    """Return the weights of a file, or of a run's best checkpoint, or else its last."""
    checkpoint = None
    if path.is_dir():
        folder = Folder(path)
        folder.about()  # or the error that this is no run
        best = (folder.best() or {}).get("step")
        checkpoint = folder.read(best if best in folder.steps() else None)
        path = checkpoint.path / "model.safetensors"
    _, metadata = read_file(path)
    foreign = "architecture" not in metadata
    config = config_of(path, metadata, preset if foreign else None, {})
    return Weights(path, config, checkpoint, foreign)


def build(
    start: Start,
    recipe: Recipe,
    backend: str | None,
    device: str | None,
    data_path: Path | None,
) -> tuple[Model, Dataset]:
    """Return the model with its first weights, and the data fitted to it."""
    backend = room_name(backend or "torch")
    dtype = "float64" if recipe.precision == "float64" else "float32"
    config, seed = start.config, recipe.seed
    with _terminal.progress(1) as bar:
        bar(0, f"reading {start.data}")
        loss = config.loss if recipe.loss == "auto" else recipe.loss
        data = datasets.load(start.data, config, seed=seed, path=data_path, loss=loss)
        _terminal.load_rooms([backend], lambda text: bar(0, text))
        bar(0, f"building in {backend}")
        where: dict[str, Any] = {"dtype": dtype, "device": device, "seed": seed}
        if start.weights is None:
            return build_model(config, backend, **where), data
        return _loaded(start, start.weights, backend, where), data


def _loaded(start: Start, file: Weights, backend: str, where: dict[str, Any]) -> Model:
    """Return the file's model; its head is new where the classes are others."""
    classes = getattr(start.config, "num_classes", None)
    name = file.config if file.foreign else None
    model = load(file.file, backend, name=name, num_classes=classes, **where)
    weights = state(model)
    if file.checkpoint is not None:  # where there is a moving average, that
        same = _trained.averaged(file.checkpoint).items()
        weights |= {n: a for n, a in same if a.shape == weights[n].shape}
    if model.config != start.config:  # by --set: dropout, for instance
        model = build_model(start.config, backend, **where)
    load_state(model, weights)
    return model
