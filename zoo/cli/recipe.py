"""`zoo recipe`: a recipe as JSON, its fields explained, its schedule drawn."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..spec.recipe import Recipe
from . import _options, _recipe


@click.command(name="recipe", cls=_recipe.RecipeCommand)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw the learning rate over --steps in a .png, .svg or .pdf file.",
)
@click.option("--explain", is_flag=True, help="Print each field and its meaning.")
@_options.as_json
@_recipe.options()
def command(
    plot: Path | None,
    explain: bool,
    as_json: bool,
    recipe_file: Path | None,
    **flags: Any,
) -> None:
    """Print a recipe as JSON, for `zoo train --recipe`.

    Without flags it is the default recipe.
    """
    recipe = _recipe.resolve(recipe_file, flags)
    if plot is not None:
        _draw(recipe, plot)
    if not explain:
        click.echo(recipe.to_json())
        return
    meanings = _recipe.meanings()
    if as_json:
        rows = [
            {
                "name": name,
                "value": value,
                "choices": _recipe.CHOICES.get(name),
                "meaning": meanings.get(name, ""),
            }
            for name, value in asdict(recipe).items()
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for name, value in asdict(recipe).items():
        heading = click.style(f"{name} = {json.dumps(value)}", bold=True)
        click.echo(f"{heading}\n    {meanings.get(name, '')}")


def _draw(recipe: Recipe, path: Path) -> None:
    if recipe.steps is None:
        raise click.UsageError(
            "--plot needs --steps: the number in an epoch depends on the data."
        )
    from ..training import plots

    plots.schedule(recipe, recipe.steps, path)
    click.echo(f"zoo: drew {path}", err=True)
