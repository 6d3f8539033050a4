"""The options that name a model and its data, and opening it quietly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .. import data as datasets
from ..backend import Model
from ..data import Dataset
from ..inference.trained import Trained, backend_of_run, open_trained
from ..registry import backend_id
from ..spec.recipe import Recipe
from ..training import start as starts
from ..training.rows import Row
from ..training.start import Start
from . import _options, _terminal

_data_path = click.option(
    "--data-path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where the files of mnist or cifar10 are.",
)
_device = click.option("--device", help="cpu, cuda, cuda:1, gpu:0 …")
_OF_PRESET = (
    click.option("--data", metavar="|".join(datasets.names()), help="What to learn."),
    _data_path,
    click.option("--backend", metavar="torch|tf|jax", help="torch by default."),
    _device,
    _options.small,
    _options.changes,
)
_OF_RUN = (
    click.option("--step", type=click.IntRange(min=1), help="Of the checkpoint."),
    click.option("--best", is_flag=True, help="The best checkpoint, not the last."),
    click.option("--data", metavar="NAME", help="The run's, by default."),
    _data_path,
    click.option("--backend", metavar="torch|tf|jax", help="The run's, by default."),
    _device,
)


def preset_options(command: Any) -> Any:
    """Give a command the options for a preset's data, backend and config."""
    return _with(command, _OF_PRESET)


def run_options(command: Any) -> Any:
    """Give a command the options that choose a run's checkpoint, data and backend."""
    return _with(command, _OF_RUN)


def _with(command: Any, options: Sequence[Any]) -> Any:
    for option in reversed(options):
        command = option(command)
    return command


def resolve(
    name: str,
    small: bool,
    changes: Sequence[str],
    data: str | None,
    init_from: Path | None = None,
) -> Start:
    """Return what a run of a preset starts from; what the data changes is printed."""
    config, keep = _options.resolve(name, small, changes), _options.settings(changes)
    start = starts.resolve(name, config, data, keep=keep, init_from=init_from)
    if start.changed:
        fields = ", ".join(f"{k}={v}" for k, v in start.changed.items())
        click.echo(f"zoo: {name} for {start.data}: {fields}", err=True)
    return start


def build(
    start: Start,
    recipe: Recipe,
    backend: str | None,
    device: str | None,
    data_path: Path | None,
) -> tuple[Model, Dataset]:
    """Return the model with its first weights, and the data fitted to it."""
    backend = backend_id(backend or "torch")
    with _terminal.progress(1) as bar:
        bar(0, f"reading {start.data}")
        data = starts.read_data(start, recipe, data_path)
        _terminal.load_backends([backend], lambda text: bar(0, text), least=1)
        bar(0, f"building in {backend}")
        return starts.build(start, recipe, backend, device), data


def open_run(
    path: Path,
    backend: str | None,
    device: str | None,
    step: int | None = None,
    best: bool = False,
    data: str | None = None,
) -> Trained:
    """Return the model of a run's folder, or of a file that zoo wrote."""
    if best and step is not None:
        raise click.UsageError("Give --step or --best, not both.")
    if path.is_file() and (best or step is not None):
        raise click.UsageError("--step and --best choose from a run's folder.")
    if path.is_file() and data is None:
        raise click.UsageError(f"--data must say what {path} is for.")
    with _terminal.progress(1) as bar:
        backend = backend_id(backend or backend_of_run(path) or "torch")
        _terminal.load_backends([backend], lambda text: bar(0, text), least=1)
        bar(0, f"reading {path}")
        return open_trained(
            path, backend, device=device, step=step, best=best, data=data
        )


def metrics(row: Row) -> str:
    """Return the figures of an evaluation in words."""
    known = ("split", "step", "epoch", "lr")
    return "  ".join(f"{k} {v:.4g}" for k, v in row.items() if k not in known)
