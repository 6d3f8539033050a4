"""The options that commands share, and their values."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from typing import Any

import click

from ..configs._base import Config, Input
from ..errors import ConfigError
from ..registry import ALIASES, BACKENDS, backend_id
from ..registry import config as preset


def add(*options: Any) -> Callable[[Any], Any]:
    """Return a decorator that gives a command these options, in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):  # click lists the last one first
            command = option(command)
        return command

    return decorate


def comparable(backends: Sequence[str]) -> Sequence[str]:
    """Return the backends to compare: those asked for, or all."""
    if len(backends) == 1:
        raise click.UsageError("Give --backend twice: it takes two to compare.")
    return backends or BACKENDS


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
small = click.option("--small", is_flag=True, help="Use a narrow, shallow version.")
batch = click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Number of examples in the inputs.",
)
seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the weights and the inputs.",
)
device = click.option("--device", help="Device, such as cpu, cuda, cuda:1 or gpu:0.")
changes = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a config field, such as num_classes=3. Repeatable.",
)


def _ids(ctx: Any, parameter: Any, values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(map(backend_id, values)))  # "keras" is "tf"


backends = click.option(
    "--backend",
    "backends",
    multiple=True,
    callback=_ids,
    metavar="|".join(BACKENDS),
    help=f"Framework; repeatable, all by default. Also {', '.join(ALIASES)}.",
)


def resolve(name: str, small: bool, changes: Sequence[str]) -> Config:
    """Return a preset's config, made small if wanted, then changed by --set."""
    config = preset(name)
    config = config.small() if small else config
    return config.override(**settings(changes))


def settings(changes: Sequence[str]) -> dict[str, Any]:
    """Return the values that --set gives, by field."""
    return dict(map(_pair, changes))


def _pair(text: str) -> tuple[str, Any]:
    """Parse key=value; a value is JSON, a Python literal, or else a word."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ConfigError(f"--set takes key=value; got {text!r}.")
    for parse in (json.loads, ast.literal_eval):
        try:
            return key, parse(value)
        except (ValueError, SyntaxError):
            continue
    return key, value


def input_entry(spec: Input) -> dict[str, Any]:
    """Return one input of a model as JSON values."""
    return {
        "name": spec.name,
        "shape": list(spec.shape),
        "kind": spec.kind,
        "dtype": spec.dtype,
        "optional": spec.optional,
    }
