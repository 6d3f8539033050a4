"""`zoo list`: the presets, by family. Needs neither NumPy nor rich."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import MISSING, fields
from types import ModuleType
from typing import Any

import click

from ..configs._base import Config
from ..errors import did_you_mean
from ..registry import families, family_of, list_models, presets
from . import _options

# Fields that only repeat the shapes of the inputs.
_IN_INPUTS = ("image_size", "in_channels", "in_features", "length")


@click.command(name="list")
@click.argument("pattern", default="*")
@_options.as_json
def command(pattern: str, as_json: bool) -> None:
    """List the presets.

    PATTERN is a shell pattern ('resnet*'), a family ('rnn') or part of a name.
    """
    names = _matching(pattern)
    if as_json:
        click.echo(json.dumps([_entry(n) for n in names], indent=2))
        return
    if not names:
        known = [*presets(), *map(_short_name, families())]
        hint = did_you_mean(pattern, known)
        click.echo(f"zoo: no preset matches {pattern!r}.{hint}", err=True)
    elif sys.stdout.isatty():
        _print_grouped(names)
    else:
        _print_plain(names)


def _matching(pattern: str) -> list[str]:
    """Return names in the order of families, and of presets within a family."""
    if any(c in pattern for c in "*?["):
        matches = set(list_models(pattern))
    else:
        family = {n for n, c in presets().items() if family_of(c) == pattern}
        matches = family or set(list_models(f"*{pattern}*"))
    return [name for name in presets() if name in matches]


def _entry(name: str) -> dict[str, Any]:
    config = presets()[name]
    return {
        "name": name,
        "family": family_of(config),
        "inputs": [_options.input_entry(spec) for spec in config.inputs()],
        "loss": config.loss,
        "config": config.to_dict(),
    }


def _print_plain(names: list[str]) -> None:
    family = max(len(family_of(presets()[n])) for n in names)
    name = max(map(len, names))
    for n in names:
        config = presets()[n]
        inputs, special = _facts(config)
        line = f"{n:{name}}  {family_of(config):{family}}  {inputs}  {special}"
        click.echo(line.rstrip())


def _print_grouped(names: list[str]) -> None:
    width = shutil.get_terminal_size().columns
    for module in families():
        members = [n for n in module.PRESETS if n in names]
        if members:
            _print_family(module, members, width)
    click.echo(f"{len(names)} of {len(presets())} presets. One: zoo info {names[0]}")


def _print_family(module: ModuleType, members: list[str], width: int) -> None:
    name = click.style(_short_name(module), bold=True)
    click.echo(f"{name}  {click.style(_title(module), dim=True)}".rstrip())
    facts = [_facts(presets()[n]) for n in members]
    first, second = max(map(len, members)), max(len(inputs) for inputs, _ in facts)
    space = max(1, width - first - second - 7)
    for member, (inputs, special) in zip(members, facts):
        if len(special) > space:
            special = special[: space - 1] + "…"
        name = click.style(f"{member:{first}}", fg="cyan")
        special = click.style(special, dim=True)
        click.echo(f"  {name}  {inputs:{second}}  {special}".rstrip())
    click.echo()


def _title(module: ModuleType) -> str:
    """Return the start of the module's docstring, up to the first colon."""
    first = (module.__doc__ or "").strip().partition("\n")[0]
    title = first.partition(":")[0].rstrip(".")
    same = title.casefold() == _short_name(module).casefold()
    return "" if same else title


def _short_name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def _facts(config: Config) -> tuple[str, str]:
    """Return the inputs, and the fields that differ from the class's defaults."""
    inputs = ", ".join(
        spec.name + (" " + "x".join(map(str, spec.shape)) if spec.shape else "")
        for spec in config.inputs()
        if not spec.optional
    )
    special = [
        f"{f.name}={_value(getattr(config, f.name))}"
        for f in fields(config)
        if f.name not in _IN_INPUTS
        and (f.default is MISSING or getattr(config, f.name) != f.default)
    ]
    return inputs, " ".join(special)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "()"
    return str(value)
