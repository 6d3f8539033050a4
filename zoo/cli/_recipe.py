"""One flag for each field of a Recipe, made from its annotations and its docstring."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import click

from ..spec.recipe import (
    AUGMENTATIONS,
    LOSSES,
    MONITORS,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    Recipe,
)

# Names that are allowed; the Recipe itself checks them, with a hint at the nearest.
CHOICES: dict[str, tuple[str, ...]] = {
    "loss": LOSSES,
    "optimizer": tuple(OPTIMIZERS),
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "monitor": tuple(MONITORS),
    "augment": AUGMENTATIONS,
}
_ITEM = re.compile(r"^(\w+(?:, \w+)*): (.*(?:\n +.*)*)", re.MULTILINE)


def meanings() -> dict[str, str]:
    """Return what each field means, from the Args section of Recipe's docstring."""
    _, _, section = (Recipe.__doc__ or "").partition("Args:\n")
    return {
        name: " ".join(text.split())
        for names, text in _ITEM.findall(textwrap.dedent(section))
        for name in names.split(", ")
    }


class RecipeOption(click.Option):
    """The flag of a Recipe's field: None, or an empty tuple, where not given."""


class RecipeCommand(click.Command):
    """A command whose help lists the recipe's flags apart from its own."""

    def format_options(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        own: list[tuple[str, str]] = []
        recipe: list[tuple[str, str]] = []
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if isinstance(option, click.Option) and record is not None:
                (recipe if isinstance(option, RecipeOption) else own).append(record)
        for title, records in (("Options", own), ("The recipe", recipe)):
            with formatter.section(title):
                formatter.write_dl(records)


def options(without: Collection[str] = ()) -> Callable[[Any], Any]:
    """Return a decorator that gives a command --recipe and a flag for each field."""
    flags = [_option(field) for field in fields(Recipe) if field.name not in without]
    file = RecipeOption(
        ["--recipe", "recipe_file"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Recipe to begin with, as JSON; flags change it.",
    )

    def decorate(command: Any) -> Any:
        # click collects decorators from the last to the first
        command.__click_params__ = [
            *getattr(command, "__click_params__", []),
            *reversed([file, *flags]),
        ]
        return command

    return decorate


def _option(field: Field[Any]) -> RecipeOption:
    name, hint = field.name, get_type_hints(Recipe)[field.name]
    flag = f"--{name.replace('_', '-')}"
    usual = {o: known[name] for o, known in OPTIMIZERS.items() if name in known}
    if usual:
        values = ", ".join(f"{value:g} for {o}" for o, value in usual.items())
        told: dict[str, Any] = {"help": f"the optimizer's constant; usually {values}."}
    else:
        told = {"help": meanings().get(name, "")}
    if field.default not in (None, ()):
        told["help"] += f" [{str(field.default).lower()}]"
    if name in CHOICES:
        told["metavar"] = "|".join(CHOICES[name])
    if hint is bool:
        return RecipeOption([f"{flag}/--no-{flag[2:]}", name], default=None, **told)
    if name == "lr_groups":
        told |= {"metavar": "PATTERN=FACTOR", "callback": _groups}
        return RecipeOption(["--lr-group", name], multiple=True, **told)
    if get_origin(hint) is tuple:
        told.setdefault("metavar", "PATTERN")
        return RecipeOption([flag, name], multiple=True, **told)
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    return RecipeOption([flag, name], type=kinds[0], default=None, **told)


def _groups(
    ctx: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, float], ...]:
    groups = []
    for value in values:
        pattern, _, factor = value.rpartition("=")
        try:
            groups.append((pattern, float(factor)))
        except ValueError:
            pattern = ""
        if not pattern:
            raise click.BadParameter(f"wants PATTERN=FACTOR; got {value!r}.")
    return tuple(groups)


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a Recipe that the command line sets."""
    known = {field.name for field in fields(Recipe)}
    return {k: v for k, v in values.items() if k in known and v not in (None, ())}


def resolve(file: Path | None, values: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a file, or the usual one, changed by flags.

    Epochs take the place of the file's steps, and steps that of its epochs.
    """
    changes = given(values)
    if file is None:
        return Recipe().override(**changes)
    recipe = Recipe.read(file)
    for name, other in (("epochs", "steps"), ("steps", "epochs")):
        if name in changes:
            changes.setdefault(other, None)
    return recipe.override(**changes)
