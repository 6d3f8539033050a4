"""The options that choose a model and its data, and the functions that open it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
    help="Folder with the files of mnist or cifar10.",
)
# for a preset's data, backend and config
preset_options = _options.add(
    click.option(
        "--data",
        metavar="|".join(datasets.names()),
        help="Data set; by default the first embedded one that fits.",
    ),
    _data_path,
    click.option(
        "--backend",
        metavar="torch|tf|jax",
        help="Framework to use; torch by default.",
    ),
    _options.device,
    _options.small,
    _options.changes,
)
# for a run's checkpoint, data and backend
run_options = _options.add(
    click.option(
        "--step",
        type=click.IntRange(min=1),
        help="Step of the checkpoint to use; the last by default.",
    ),
    click.option("--best", is_flag=True, help="Use the best checkpoint."),
    click.option("--data", metavar="NAME", help="Data set; the run's by default."),
    _data_path,
    click.option(
        "--backend",
        metavar="torch|tf|jax",
        help="Framework to use; the run's by default.",
    ),
    _options.device,
)


def resolve(
    name: str,
    small: bool,
    changes: Sequence[str],
    data: str | None,
    init_from: Path | None = None,
) -> Start:
    """Return the start of a preset's run; print which fields are fitted to the data."""
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
    is_file = path.is_file()
    if is_file and (best or step is not None):
        raise click.UsageError("--step and --best choose from a run's folder.")
    if is_file and data is None:
        raise click.UsageError(f"--data must say what {path} is for.")
    if best and step is not None:
        raise click.UsageError("Give --step or --best, not both.")
    with _terminal.progress(1) as bar:
        backend = backend or ("torch" if is_file else backend_of_run(path))
        if backend is not None:  # else `open_trained` raises the error for run.json
            backend = backend_id(backend)
            _terminal.load_backends([backend], lambda text: bar(0, text), least=1)
        bar(0, f"reading {path}")
        return open_trained(
            path, backend, device=device, step=step, best=best, data=data
        )


def metrics(row: Row) -> str:
    """Return the metrics in a row of an evaluation, as text."""
    others = ("split", "step", "epoch", "lr")
    return "  ".join(f"{k} {v:.4g}" for k, v in row.items() if k not in others)
