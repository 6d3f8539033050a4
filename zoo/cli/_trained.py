"""A trained model: a run's checkpoint, or a saved file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click

from .. import datasets
from ..backend import Model
from ..callbacks import json_line
from ..datasets import Dataset
from ..errors import FileError
from ..models import build
from ..recipe import Recipe
from ..registry import config_from_key, room_name
from ..runs import Checkpoint, Folder
from ..weights import load, load_state
from . import _terminal

_FLAGS = (
    click.option("--step", type=click.IntRange(min=1), help="Of the checkpoint."),
    click.option("--best", is_flag=True, help="The best checkpoint, not the last."),
    click.option("--data", metavar="NAME", help="The run's, by default."),
    click.option(
        "--data-path",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Where the files of mnist or cifar10 are.",
    ),
    click.option("--backend", metavar="torch|tf|jax", help="The run's, by default."),
    click.option("--device", help="cpu, cuda, cuda:1, gpu:0 …"),
)


def options(command: Any) -> Any:
    """Give a command the options that say which model is meant, and where it runs."""
    for option in reversed(_FLAGS):
        command = option(command)
    return command


class Trained(NamedTuple):
    """A model and what is known of its training."""

    model: Model
    recipe: Recipe
    data: str  # name of the data set
    path: Path | None  # of its files
    classes: tuple[str, ...]  # none where not known
    step: int | None


def open_run(
    path: Path,
    backend: str | None,
    device: str | None,
    step: int | None = None,
    best: bool = False,
    data: str | None = None,
) -> Trained:
    """Return the model of a run's folder, or of a file that zoo wrote.

    Where the run has a moving average of its weights, the model gets that.
    """
    is_file = path.is_file()
    if is_file and (step is not None or best):
        raise click.UsageError("--step and --best choose from a run's folder.")
    if is_file and data is None:
        raise click.UsageError(f"--data must say what {path} is for.")
    with _terminal.progress(1) as bar:
        say = partial(bar, 0)
        if not is_file:
            found = _of_run(Folder(path), backend, device, step, best, say)
            return found._replace(data=data, path=None, classes=()) if data else found
        backend = room_name(backend or "torch")
        _terminal.load_rooms([backend], say)
        say(f"reading {path}")
        return Trained(
            load(path, backend, device=device), Recipe(), str(data), None, (), None
        )


def _of_run(
    folder: Folder,
    backend: str | None,
    device: str | None,
    step: int | None,
    best: bool,
    say: Callable[[str], object],
) -> Trained:
    about, recipe = folder.about(), folder.recipe()
    checkpoint = folder.read(_best(folder, step) if best else step)
    try:
        config = config_from_key(about["architecture"], about["config"])
        dtype, data, classes = about["dtype"], about["data"], tuple(about["classes"])
        backend = backend or about["backend"]
    except KeyError as error:
        raise FileError(f"{folder.path / 'run.json'} lacks {error}.") from None
    backend = room_name(backend)
    _terminal.load_rooms([backend], say)
    say(f"reading {checkpoint.path}")
    model = build(config, backend, dtype=dtype, device=device)
    load_state(model, averaged(checkpoint))
    place = Path(about["data_path"]) if about.get("data_path") else None
    step = checkpoint.progress.get("step")
    return Trained(model, recipe, data, place, classes, step)


def dataset(trained: Trained, path: Path | None) -> Dataset:
    """Return the data set that a model is trained on, with its own split."""
    recipe, config = trained.recipe, trained.model.config
    loss = config.loss if recipe.loss == "auto" else recipe.loss
    path = path or trained.path
    return datasets.load(trained.data, config, seed=recipe.seed, path=path, loss=loss)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures as JSON can hold them: infinity, for one, as a string."""
    return json.loads(json_line(row))


def measures(row: Mapping[str, Any]) -> str:
    """Return the figures of an evaluation in words."""
    known = ("split", "step", "epoch", "lr")
    return "  ".join(f"{k} {v:.4g}" for k, v in row.items() if k not in known)


def _best(folder: Folder, step: int | None) -> int:
    if step is not None:
        raise click.UsageError("Give --step or --best, not both.")
    if (best := folder.best()) is None:
        raise FileError(f"{folder.path} has no best checkpoint: it was not evaluated.")
    return best["step"]


def averaged(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint's weights, averaged ones where the run has such."""
    slots = checkpoint.slots.items()
    return checkpoint.weights | {
        name.removeprefix("ema/"): value
        for name, value in slots
        if name.startswith("ema/")
    }
