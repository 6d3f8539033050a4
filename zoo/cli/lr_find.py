"""`zoo lr-find`: the LR range test, and the rate that it suggests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..registry import TITLES, backend_of
from . import _model, _options, _recipe, _terminal

# Of a recipe, what the test sets itself or does not come to.
_ITS_OWN = (
    "lr", "schedule", "warmup", "decay_every", "gamma", "min_lr", "plateau_patience",
    "ema", "epochs", "steps", "evaluate_every", "patience", "min_delta", "monitor",
)  # fmt: skip


@click.command(name="lr-find", cls=_recipe.RecipeCommand)
@click.argument("name")
@_model.preset_options
@click.option("--low", default=1e-6, show_default=True, help="First rate.")
@click.option("--high", default=10.0, show_default=True, help="Last rate.")
@click.option(
    "--steps", default=100, show_default=True, help="From the first to the last."
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw the curve: a .png, .svg or .pdf.",
)
@_options.as_json
@_recipe.options(without=_ITS_OWN)
def command(
    name: str,
    data: str | None,
    data_path: Path | None,
    backend: str | None,
    device: str | None,
    small: bool,
    changes: Sequence[str],
    low: float,
    high: float,
    steps: int,
    plot: Path | None,
    as_json: bool,
    recipe_file: Path | None,
    **flags: Any,
) -> None:
    """Suggest a learning rate: train with one that rises at every step.

    The suggestion is the rate at which the smoothed loss falls steepest.
    """
    recipe = _recipe.resolve(recipe_file, flags)
    start = _model.resolve(name, small, changes, data)
    model, dataset = _model.build(start, recipe, backend, device, data_path)

    from ..training import plots
    from ..training.lr_find import lr_find

    with _terminal.progress(1) as bar:
        bar(0, f"{steps} steps")
        found = lr_find(model, dataset, recipe, low=low, high=high, steps=steps)
    backend = backend_of(model)
    if plot is not None:
        plots.lr_curves({backend: found}, plot)
    if as_json:
        lists = {k: getattr(found, k).tolist() for k in ("rates", "losses", "smoothed")}
        told = {"backend": backend, "data": start.data, "suggestion": found.suggestion}
        click.echo(json.dumps(told | lists, indent=2))
        return
    head = f"{name} on {start.data} in {TITLES[backend]}, {recipe.optimizer}"
    reached = f"rates {low:g} to {found.rates[-1]:.2g}, {len(found.rates)} steps"
    click.echo(f"{head}: {reached}")
    if found.suggestion is None:
        click.echo("no suggestion: the loss falls nowhere in this range")
    else:
        click.echo(f"suggestion: --lr {found.suggestion:.2g}")
    if plot is not None:
        click.echo(f"drawn: {plot}")
