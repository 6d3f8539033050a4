"""`zoo info`: a preset's config, inputs, parameters and files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from ..configs._base import Config
from ..registry import BACKENDS, TITLES, family_of, get_backend
from ..source import twin_file
from . import _options, _terminal


class Weights(NamedTuple):
    """Shapes of a model's weights by canonical name, and which are trained."""

    shapes: dict[str, tuple[int, ...]]
    trained: set[str]

    def count(self, names: Iterable[str]) -> int:
        """Return the number of scalars in these weights."""
        return sum(math.prod(self.shapes[n]) for n in names)


@click.command(name="info")
@click.argument("name")
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Depth to which submodules are listed.",
)
@click.option(
    "--weights", "every", is_flag=True, help="Also print each weight's shape."
)
@_options.small
@_options.changes
@_options.as_json
def command(
    name: str,
    depth: int,
    every: bool,
    small: bool,
    changes: Sequence[str],
    as_json: bool,
) -> None:
    """Show a preset: config, inputs, parameters, files.

    Parameters are counted in the first framework that is installed.
    """
    config = _options.resolve(name, small, changes)
    with _terminal.progress(1) as bar:
        weights = _weights(config, lambda text: bar(0, text))
    if as_json:
        click.echo(json.dumps(_as_json(name, config, weights), indent=2))
    else:
        _print(name, config, weights, depth, every)


def _weights(config: Config, report: Callable[[str], object]) -> Weights | None:
    """Return the weights in the first framework that is installed."""
    from ..models import construct

    for name in BACKENDS:
        if not _terminal.load_backends([name], report):
            continue
        report(f"building in {name}")
        backend, model = get_backend(name), construct(config, name)
        return Weights(backend.shapes(model), backend.trainable(model))
    return None


def _files(config: Config) -> dict[str, Path]:
    return {name: twin_file(config, name) for name in BACKENDS}


def by_submodule(weights: Weights, depth: int | None = None) -> dict[str, int]:
    """Return the number of trainable scalars by submodule path, in forward order.

    Paths are cut at `depth`. A variable that the model itself holds has its own name.
    """
    counts: dict[str, int] = {}
    for name, shape in weights.shapes.items():
        path = name.split(".")[:-1] or [name]
        key = ".".join(path[:depth])
        counts.setdefault(key, 0)
        if name in weights.trained:
            counts[key] += math.prod(shape)
    return counts


def _as_json(name: str, config: Config, weights: Weights | None) -> dict[str, Any]:
    _, cls = config.twin(BACKENDS[0])
    entry: dict[str, Any] = {
        "name": name,
        "family": family_of(config),
        "class": cls,
        "config": config.to_dict(),
        "inputs": [_options.input_entry(spec) for spec in config.inputs()],
        "loss": config.loss,
        "files": {name: str(path) for name, path in _files(config).items()},
        "parameters": None,
        "buffers": None,
        "submodules": None,
        "weights": None,
    }
    if weights:
        entry["parameters"] = weights.count(weights.trained)
        entry["buffers"] = weights.count(weights.shapes.keys() - weights.trained)
        entry["submodules"] = by_submodule(weights)
        entry["weights"] = {n: list(s) for n, s in weights.shapes.items()}
    return entry


def _print(
    name: str, config: Config, weights: Weights | None, depth: int, every: bool
) -> None:
    def section(title: str, rows: Mapping[str, Any], right: bool = False) -> None:
        click.secho(f"\n{title}", bold=True)
        left_width = max(14, *map(len, rows))
        right_width = max(len(str(v)) for v in rows.values()) if right else 0
        for key, value in rows.items():
            click.echo(f"  {key:{left_width}}  {value!s:>{right_width}}")

    _, cls = config.twin(BACKENDS[0])
    click.secho(f"{name}: {cls}, family {family_of(config)}", bold=True)
    section("config", {k: _value(v) for k, v in config.to_dict().items()})
    inputs = {spec.name: _input(spec) for spec in config.inputs()}
    section("inputs, and the loss", {**inputs, "loss": config.loss})
    if weights is None:
        hint = "no framework is installed; run pip install '.[torch]'"
        section("parameters", {"not counted": hint})
    else:
        total = weights.count(weights.trained)
        buffers = weights.count(weights.shapes.keys() - weights.trained)
        counts = {k: f"{v:,}" for k, v in by_submodule(weights, depth).items()}
        title = f"{total:,} parameters" + (f", {buffers:,} in buffers" * bool(buffers))
        section(title, counts, right=True)
        if every:
            section("weights, in canonical layout", weights.shapes)
    files = {TITLES[k]: _terminal.short_path(v) for k, v in _files(config).items()}
    section("files", files)


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _input(spec: Any) -> str:
    axes = ", ".join(["N", *map(str, spec.shape)])
    words = [f"({axes}{',' * (not spec.shape)}) {spec.dtype}"]
    if spec.kind == "token":
        words.append(f"ids below {spec.high:,}")
    if spec.kind == "length":
        words.append(f"1 to {spec.high}")
    if spec.kind == "mask":
        words.append("True = real")
    if spec.optional:
        words.append("optional")
    return ", ".join(words)
