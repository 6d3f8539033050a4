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

# Allowed names; the Recipe itself checks them, and suggests the nearest.
CHOICES: dict[str, tuple[str, ...]] = {
    "loss": LOSSES,
    "optimizer": tuple(OPTIMIZERS),
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "monitor": tuple(MONITORS),
    "augment": AUGMENTATIONS,
}
# Help where the docstring's words do not stand alone.
_HELP = {
    "weight_decay": "Weight decay: L2 in the gradient; for adamw and lion, decoupled.",
    "freeze": 'Pattern of weights that stay as they are, such as "layer1.*".'
    " Repeatable.",
    "lr_groups": "Factor of the learning rate for the weights that match; the first"
    " match counts. Repeatable.",
    "epochs": "Length of the run in epochs; by default 10, unless --steps is given.",
    "steps": "Length of the run in steps, instead of --epochs.",
    "monitor": "Metric of the evaluations that must improve.",
    "augment": "Augmentation of the training images. Repeatable.",
    "seed": "Seed of the order of examples, augmentation, dropout, and the data's"
    " split.",
    "loss": 'Loss; "bce" takes logits, "auto" is the model\'s own.',
    "optimizer": "Optimizer.",
    "schedule": "Schedule of the learning rate.",
    "precision": '"bf16" and "fp16" compute in 16 bits with float32 weights, "fp16"'
    ' with a loss scale; "auto" is the model\'s dtype.',
}
_ITEM = re.compile(r"^(\w+(?:, \w+)*): (.*(?:\n +.*)*)", re.MULTILINE)


def meanings() -> dict[str, str]:
    """Return the meaning of each field, from the Args section of Recipe's docstring."""
    _, _, section = (Recipe.__doc__ or "").partition("Args:\n")
    return {
        name: " ".join(text.split())
        for names, text in _ITEM.findall(textwrap.dedent(section))
        for name in names.split(", ")
    }


class RecipeOption(click.Option):
    """The flag of a Recipe's field: None, or an empty tuple, if not given."""


class RecipeCommand(click.Command):
    """A command whose help lists the recipe's flags in a section of their own."""

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
        help="Recipe to start from, as JSON; flags change it.",
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
    settings: dict[str, Any] = {"help": _help(field)}
    if name in CHOICES:
        settings["metavar"] = "|".join(CHOICES[name])
    if hint is bool:
        names = [f"{flag}/--no-{flag[2:]}", name]
        return RecipeOption(names, default=None, **settings)
    if name == "lr_groups":
        settings |= {"metavar": "PATTERN=FACTOR", "callback": _groups}
        return RecipeOption(["--lr-group", name], multiple=True, **settings)
    if get_origin(hint) is tuple:
        settings.setdefault("metavar", "PATTERN")
        return RecipeOption([flag, name], multiple=True, **settings)
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    return RecipeOption([flag, name], type=kinds[0], default=None, **settings)


def _help(field: Field[Any]) -> str:
    """Return the help of a field's flag: a sentence, and the default."""
    text = _HELP.get(field.name) or meanings().get(field.name, "")
    text = text.replace("None: ", "by default ")
    values: dict[float, list[str]] = {}
    for optimizer, constants in OPTIMIZERS.items():
        if field.name in constants:
            values.setdefault(constants[field.name], []).append(optimizer)
    if values:  # a constant of optimizers
        usual = "; ".join(f"{v:g} for {', '.join(o)}" for v, o in values.items())
        return f"Constant of the optimizer. [default: {usual}]"
    text = text[:1].upper() + text[1:]
    if field.default not in (None, ()):
        text += f" [default: {str(field.default).lower()}]"
    return text


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
