"""`zoo lr-find`: the LR range test, and the rate that it suggests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..registry import TITLES, backend_of
from ..spec.recipe import Recipe
from . import _model, _options, _recipe, _terminal

# Fields of a recipe that the test sets itself, or does not use.
_ITS_OWN = (
    "lr", "schedule", "warmup", "decay_every", "gamma", "min_lr", "plateau_patience",
    "ema", "epochs", "steps", "evaluate_every", "patience", "min_delta", "monitor",
)  # fmt: skip


_test_options = _options.add(
    click.option("--low", default=1e-6, show_default=True, help="First learning rate."),
    click.option("--high", default=10.0, show_default=True, help="Last learning rate."),
    click.option(
        "--steps",
        default=100,
        show_default=True,
        help="Number of steps from the first rate to the last.",
    ),
    click.option(
        "--plot",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Draw the curve in a .png, .svg or .pdf file.",
    ),
)


@click.command(name="lr-find", cls=_recipe.RecipeCommand)
@click.argument("name")
@_model.preset_options
@_test_options
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
    """Suggest a learning rate by the LR range test.

    The test trains with a rate that rises at every step. It suggests the rate at which
    the smoothed loss falls steepest.
    """
    recipe = _recipe.resolve(recipe_file, flags)
    start = _model.resolve(name, small, changes, data)
    model, dataset = _model.build(start, recipe, backend, device, data_path)

    from ..training import plots
    from ..training.lr_find import lr_find

    with _terminal.progress(1) as bar:
        bar(0, f"{steps} steps")
        finding = lr_find(model, dataset, recipe, low=low, high=high, steps=steps)
    backend = backend_of(model)
    if plot is not None:
        plots.lr_curves({backend: finding}, plot)
    summary = {
        "backend": backend,
        "data": start.data,
        "suggestion": finding.suggestion,
        "rates": finding.rates.tolist(),
        "losses": finding.losses.tolist(),
        "smoothed": finding.smoothed.tolist(),
    }
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        _print(f"{name} on {start.data} in {TITLES[backend]}", recipe, summary, plot)


def _print(
    subject: str, recipe: Recipe, summary: Mapping[str, Any], plot: Path | None
) -> None:
    rates, suggestion = summary["rates"], summary["suggestion"]
    tested = f"rates {rates[0]:g} to {rates[-1]:.2g}, {len(rates)} steps"
    click.echo(f"{subject}, {recipe.optimizer}: {tested}")
    if suggestion is None:
        click.echo("no suggestion: the loss falls nowhere in this range")
    else:
        click.echo(f"suggestion: --lr {suggestion:.2g}")
    if plot is not None:
        click.echo(f"drawn: {plot}")
