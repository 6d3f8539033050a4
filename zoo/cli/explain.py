"""`zoo explain`: where a model looks, and why its loss does not fall."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from .. import explain
from ..data import Dataset
from ..errors import FileError, InputError
from ..explain import drawing
from ..explain.drawing import Drawn
from ..inference.trained import Trained
from ..registry import TITLES, backend_of, presets
from ..spec.draws import order
from ..spec.recipe import Recipe
from ..training.rows import plain
from . import _model, _options, _terminal

COLUMNS = (
    "layer", "units", "mean", "std", "silent", "dead", "saturated", "gradient",
    "weights", "their gradient", "ratio",
)  # fmt: skip


_explain_options = _options.add(
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        default="explain",
        show_default=True,
        help="Folder for the pictures.",
    ),
    click.option(
        "--layer", help="Layer whose maps to draw; by default the last that has maps."
    ),
    click.option(
        "--target",
        metavar="CLASS",
        help="Class to explain, by name or number; by default the likeliest.",
    ),
    click.option(
        "--pictures",
        type=click.IntRange(min=0),
        default=4,
        show_default=True,
        help="Number of test examples to draw if no IMAGE is given.",
    ),
    click.option(
        "--examples",
        type=click.IntRange(min=2),
        default=64,
        show_default=True,
        help="Number of training examples for the layers' figures.",
    ),
    click.option(
        "--invert/--no-invert",
        default=None,
        help="Take the negative of each IMAGE, as zoo predict does.",
    ),
)


@click.command(name="explain")
@click.argument("name", metavar="NAME_OR_RUN")
@click.argument(
    "files", nargs=-1, type=click.Path(path_type=Path), metavar="[IMAGE]..."
)
@_explain_options
@_model.run_options
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
    """Draw what a model looks at, and diagnose its layers.

    NAME_OR_RUN is the folder of a run, a file that zoo saved (with --data), or a preset
    with its first weights. Each picture shows an image, where the model looks
    (Grad-CAM, saliency) and a layer's feature maps. For a model that takes no images
    there are only the layers' figures.
    """
    trained, dataset = _opened(
        name, backend, device, step, best, data, data_path, small, changes
    )
    shots = drawing.shots(trained, dataset, files, pictures, invert)
    if not drawing.takes_images(trained) and (files or layer or target):
        raise InputError(f"{name} takes no images: leave out IMAGE, --layer, --target.")
    chosen = drawing.class_number(trained, target) if shots else None
    with _terminal.progress(len(shots) + 1) as bar:
        bar(0, f"{examples} examples")
        rows = _layers(trained, dataset, examples)
        drawn = []
        for i, shot in enumerate(shots):
            bar(i + 1, shot.title)
            drawn.append(drawing.draw(trained, shot, out, target=chosen, layer=layer))
    if as_json:
        click.echo(json.dumps(_as_json(name, trained, rows, drawn), indent=2))
    else:
        _print(trained, rows, drawn)


def _opened(
    name: str,
    backend: str | None,
    device: str | None,
    step: int | None,
    best: bool,
    data: str | None,
    data_path: Path | None,
    small: bool,
    changes: Sequence[str],
) -> tuple[Trained, Dataset]:
    """Return the model of a run, or of a preset with first weights, and its data."""
    if _is_run(name):
        if small or changes:
            raise click.UsageError("--small and --set are for a preset, not for a run.")
        trained = _model.open_run(Path(name), backend, device, step, best, data)
        dataset = trained.dataset(data_path)
    else:
        if step is not None or best:
            raise click.UsageError("--step and --best choose from a run's folder.")
        start = _model.resolve(name, small, changes, data)
        model, dataset = _model.build(start, Recipe(), backend, device, data_path)
        trained = Trained(model, Recipe(), start.data, data_path, (), None)
    return trained._replace(classes=trained.classes or dataset.classes), dataset


def _is_run(name: str) -> bool:
    """Return whether this is a run or a file, not a preset."""
    path = Path(name)
    if path.is_file() or (path / "run.json").is_file():
        return True
    if name not in presets() and (path.is_dir() or os.sep in name):
        raise FileError(f"{name} holds no run: it has no run.json.")
    return False


def _layers(
    trained: Trained, dataset: Dataset, count: int
) -> list[explain.LayerFigures]:
    """Return the layers' figures on some training examples."""
    chosen = order(trained.recipe.seed, "explain", len(dataset.train))[:count]
    inputs, targets = dataset.train.take(chosen)
    return explain.statistics(trained.model, inputs, targets, trained.loss)


def _as_json(
    name: str,
    trained: Trained,
    rows: Sequence[explain.LayerFigures],
    drawn: Sequence[Drawn],
) -> dict[str, object]:
    return {
        "model": name,
        "backend": backend_of(trained.model),
        "data": trained.data,
        "step": trained.step,
        "layers": [plain(row._asdict()) for row in rows],
        "findings": [plain(f._asdict()) for f in explain.diagnose(rows)],
        "pictures": [picture._asdict() for picture in drawn],
    }


def _print(
    trained: Trained, rows: Sequence[explain.LayerFigures], drawn: Sequence[Drawn]
) -> None:
    at = f"step {trained.step}" if trained.step else "first weights"
    kind, title = type(trained.model).__name__, TITLES[backend_of(trained.model)]
    click.echo(f"{kind} on {trained.data} in {title}, {at}")
    _print_rows(rows)
    findings = explain.diagnose(rows)
    for finding in findings:
        click.echo(f"{finding.kind}: {finding.text}")
    if not findings:
        click.echo("nothing stands out: gradients reach every layer")
    for picture in drawn:
        click.echo(f"drawn: {picture.file} ({picture.title})")


def _print_rows(rows: Sequence[explain.LayerFigures]) -> None:
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
