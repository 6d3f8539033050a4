"""`zoo explain`: what a model looks at, and why its loss does not fall."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from .. import datasets, explain
from ..data import order
from ..datasets import Dataset
from ..errors import FileError, InputError
from ..models import predict
from ..recipe import Recipe
from ..registry import TITLES, backend_of, presets
from . import _options, _start, _terminal, _trained
from ._trained import Trained
from .predict import INK, _scores, _write_negative

STRONGEST = 16  # feature maps drawn
COLUMNS = (
    "layer", "units", "mean", "std", "silent", "dead", "saturated", "gradient",
    "weights", "their gradient", "ratio",
)  # fmt: skip


@click.command(name="explain")
@click.argument("name", metavar="NAME_OR_RUN")
@click.argument(
    "files", nargs=-1, type=click.Path(path_type=Path), metavar="[IMAGE]..."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    default="explain",
    show_default=True,
    help="For the pictures.",
)
@click.option("--layer", help="Of the maps; the last with maps, by default.")
@click.option(
    "--target",
    metavar="CLASS",
    help="To explain, by name or number; else the likeliest.",
)
@click.option(
    "--pictures",
    type=click.IntRange(min=0),
    default=4,
    show_default=True,
    help="Test examples to draw where no IMAGE is given.",
)
@click.option(
    "--examples",
    type=click.IntRange(min=2),
    default=64,
    show_default=True,
    help="Training examples behind the figures.",
)
@click.option(
    "--invert/--no-invert",
    default=None,
    help="Make a negative of IMAGE first, as zoo predict does.",
)
@_trained.options
@_options.small
@_options.changes
@_options.as_json
def command(
    name: str,
    files: Sequence[Path],
    out: Path,
    layer: str | None,
    target: str | None,
    pictures: int,
    examples: int,
    invert: bool | None,
    step: int | None,
    best: bool,
    data: str | None,
    data_path: Path | None,
    backend: str | None,
    device: str | None,
    small: bool,
    changes: Sequence[str],
    as_json: bool,
) -> None:
    """Draw what a model looks at; tell its layers' figures and what is wrong there.

    NAME_OR_RUN is the folder of a run, a file that zoo saved (with --data), or a preset
    with its first weights. Each picture shows an image, where the model looks
    (Grad-CAM, saliency) and a layer's feature maps. Without images there are figures
    only.
    """
    if _is_run(name):
        if small or changes:
            raise click.UsageError("--small and --set are for a preset, not for a run.")
        trained = _trained.open_run(Path(name), backend, device, step, best, data)
        dataset = _trained.dataset(trained, data_path)
    else:
        if step is not None or best:
            raise click.UsageError("--step and --best choose from a run's folder.")
        start = _start.resolve(name, small, changes, data)
        model, dataset = _start.build(start, Recipe(), backend, device, data_path)
        trained = Trained(model, Recipe(), start.data, data_path, (), None)
    trained = trained._replace(classes=trained.classes or dataset.classes)
    shots = _shots(trained, dataset, files, pictures, invert)
    if not _sees(trained) and (files or layer or target):
        raise InputError(f"{name} takes no images: leave out IMAGE, --layer, --target.")
    with _terminal.progress(len(shots) + 1) as bar:
        bar(0, f"{examples} examples")
        rows = _figures(trained, dataset, examples)
        drawn = []
        for i, shot in enumerate(shots):
            bar(i + 1, shot.title)
            drawn.append(_draw(trained, shot, _class(trained, target), layer, out))
    _tell(name, trained, rows, drawn, as_json)


def _is_run(name: str) -> bool:
    path = Path(name)
    if path.is_file() or (path / "run.json").is_file():
        return True
    if name not in presets() and (path.is_dir() or os.sep in name):
        raise FileError(f"{name} holds no run: it has no run.json.")
    return False


def _figures(trained: Trained, dataset: Dataset, count: int) -> list[explain.Row]:
    from ..train import loss_of

    chosen = order(trained.recipe.seed, "explain", len(dataset.train))[:count]
    inputs, targets = dataset.train.take(chosen)
    loss = loss_of(trained.model, trained.recipe)
    return explain.statistics(trained.model, inputs, targets, loss)


def _tell(
    name: str,
    trained: Trained,
    rows: Sequence[explain.Row],
    drawn: Sequence[dict[str, Any]],
    as_json: bool,
) -> None:
    room, findings = backend_of(trained.model), explain.diagnose(rows)
    if as_json:
        told = {
            "model": name,
            "backend": room,
            "data": trained.data,
            "step": trained.step,
            "layers": [_trained.plain(row._asdict()) for row in rows],
            "findings": [_trained.plain(found._asdict()) for found in findings],
            "pictures": drawn,
        }
        click.echo(json.dumps(told, indent=2))
        return
    at = f"step {trained.step}" if trained.step else "first weights"
    kind = type(trained.model).__name__
    click.echo(f"{kind} on {trained.data} in {TITLES[room]}, {at}")
    _print_rows(rows)
    for found in findings:
        click.echo(f"{found.kind}: {found.text}")
    if not findings:
        click.echo("nothing stands out: gradients reach every layer")
    for shown in drawn:
        click.echo(f"drawn: {shown['file']} ({shown['title']})")


def _print_rows(rows: Sequence[explain.Row]) -> None:
    from rich.table import Table

    table = Table()
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "layer" else "right")
    for row in rows:
        worst = max(row.saturated.values(), default=None)
        table.add_row(
            row.layer,
            str(row.units),
            f"{row.mean:.3g}",
            f"{row.std:.3g}",
            f"{row.silent:.1%}",
            str(row.dead),
            "" if worst is None else f"{worst:.1%}",
            *(
                f"{value:.2e}"
                for value in (row.gradient, row.weight, row.weight_gradient, row.ratio)
            ),
        )
    _terminal.print_table(_terminal.stdout(), table)


# Pictures


class Shot(NamedTuple):
    """One image to explain: the inputs (a batch of one), and the name of its file."""

    inputs: tuple[np.ndarray, ...]
    stem: str
    title: str


def _sees(trained: Trained) -> bool:
    return len(trained.model.config.inputs()[0].shape) == 3  # images


def _shots(
    trained: Trained,
    dataset: Dataset,
    files: Sequence[Path],
    count: int,
    invert: bool | None,
) -> list[Shot]:
    """Return the images given, or else the first of the test examples."""
    if not _sees(trained):
        return []
    found = []
    for i, path in enumerate(files):
        stem = path.stem if [f.stem for f in files].count(path.stem) == 1 else ""
        inputs = _read(trained, path, invert)
        found.append(Shot(inputs, stem or f"{path.stem}-{i}", path.name))
    if files or not len(dataset.test):
        return found
    chosen = np.arange(min(count, len(dataset.test)))
    inputs, targets = dataset.test.take(chosen)
    for i in chosen:
        title = f"test example {i}"
        if targets.ndim == 1 and targets.dtype.kind in "iu" and trained.classes:
            title += f", a {trained.classes[targets[i]]}"
        own = tuple(x[i : i + 1] for x in inputs)
        found.append(Shot(own, f"test-{i}", title))
    return found


def _read(trained: Trained, path: Path, invert: bool | None) -> tuple[np.ndarray, ...]:
    config = trained.model.config
    inputs = datasets.picture(path, trained.data, config)
    if invert or (invert is None and trained.data in INK):
        with tempfile.TemporaryDirectory() as folder:
            negative = Path(folder, "negative.png")
            if _write_negative(path, negative, sure=invert is True):
                inputs = datasets.picture(negative, trained.data, config)
    return inputs


def _class(trained: Trained, target: str | None) -> int | None:
    """Return the number of a class that is given by its name or number."""
    if target is None:
        return None
    if target in trained.classes:
        return trained.classes.index(target)
    if target.isdecimal():
        return int(target)
    known = ", ".join(trained.classes[:12])
    raise InputError(f"--target must be a number or one of {known}; got {target!r}.")


def _draw(
    trained: Trained, shot: Shot, target: int | None, layer: str | None, out: Path
) -> dict[str, Any]:
    """Write one picture; return what it shows."""
    from ..plot import _figure, _write

    model, inputs = trained.model, shot.inputs
    heat = explain.grad_cam(model, inputs, target, layer)
    slopes = explain.saliency(model, inputs, target)
    shown = explain.feature_maps(model, inputs, layer)
    assert heat.targets is not None
    chosen = int(heat.targets[0])
    named = trained.classes[chosen] if chosen < len(trained.classes) else str(chosen)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {out}: {error.strerror}.") from None
    path = out / f"{shot.stem}.png"
    figure, axes = _figure(path)
    axes.remove()
    figure.set_size_inches(9, 6)
    above, below = figure.subfigures(2, 1)
    image = _visible(inputs[0][0])
    panels = above.subplots(1, 3)
    taken = _taken(trained, inputs)
    titles = (
        f"{shot.title}{taken}",
        f"Grad-CAM for {named}, {heat.layer}",
        f"Saliency for {named}",
    )
    for panel, title in zip(panels, titles):
        panel.set_title(title, fontsize=9)
        panel.set_axis_off()
    panels[0].imshow(image, cmap="gray", vmin=0, vmax=1)
    panels[1].imshow(image, cmap="gray", vmin=0, vmax=1)
    panels[1].imshow(heat.maps[0], cmap="cividis", vmin=0, vmax=1, alpha=0.7)
    panels[2].imshow(slopes.maps[0], cmap="cividis")
    _draw_maps(below, shown)
    _write(figure, path)
    return {
        "file": str(path),
        "title": f"{shot.title}{taken}",
        "target": named,
        "layer": heat.layer,
    }


def _draw_maps(figure: Any, shown: explain.Maps) -> None:
    """Draw the maps (H, W) that vary most, in the order of their numbers."""
    maps = shown.maps[0]
    strongest = np.argsort(-maps.std((0, 1)), kind="stable")[:STRONGEST]
    few = f"{len(strongest)} of " if len(strongest) < maps.shape[-1] else ""
    size = "x".join(map(str, maps.shape[:2]))
    title = f"Feature maps of {shown.layer}: {few}{maps.shape[-1]}, {size}"
    figure.suptitle(title, fontsize=9)
    columns = (len(strongest) + 1) // 2
    panels = figure.subplots(2, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, unit in zip(panels, np.sort(strongest)):
        panel.imshow(maps[..., unit], cmap="cividis")
        panel.set_title(str(unit), fontsize=7)


def _visible(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, C) as (H, W) or (H, W, 3), stretched over [0, 1]."""
    image = image if image.shape[-1] == 3 else image.mean(-1)
    low, high = image.min(), image.max()
    return (image - low) / max(high - low, 1e-12)


def _taken(trained: Trained, inputs: tuple[np.ndarray, ...]) -> str:
    """Return in words what the model says of an image, where it says one class."""
    if predict(trained.model, inputs).ndim != 2:
        return ""
    [scores] = _scores(trained, inputs)
    if len(scores) != len(trained.classes):  # of an mse, or of a wider head
        return ""
    best = int(scores.argmax())
    return f", taken for {trained.classes[best]} ({scores[best]:.0%})"
