"""`zoo convert`: from a model file to one that the plain framework loads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..configs._base import Config
from ..errors import FileError
from ..registry import TITLES, backend_id, family_of
from . import _options, _terminal


@click.command(name="convert")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--to", required=True, metavar="torch|tf|jax", help="Framework to write for."
)
@click.option(
    "--name", metavar="PRESET", help="Preset in IN, for a file that zoo did not write."
)
@_options.changes
@_options.as_json
def command(
    source: Path,
    target: Path,
    to: str,
    name: str | None,
    changes: Sequence[str],
    as_json: bool,
) -> None:
    """Write a model file that the plain framework loads.

    IN is a file of the zoo, or a public checkpoint of PRESET. OUT becomes, for torch,
    a state_dict as safetensors; for tf, a .keras file; for jax, safetensors with NNX
    paths and layouts.
    """
    to = backend_id(to)
    if changes and name is None:
        raise click.UsageError("--set changes a preset: give --name too.")
    if source.exists() and target.exists() and source.samefile(target):
        raise FileError(f"IN and OUT are the same file: {source}.")
    config = _options.resolve(name, False, changes) if name else None

    from ..files.weights import export_native
    from ..models import count_parameters

    with _terminal.progress(1) as bar:
        _terminal.load_backends([to], lambda text: bar(0, text))
        bar(0, f"reading {source}")
        model = _load(source, to, config)
        bar(0, f"writing {target}")
        export_native(model, target, to)
    summary = {
        "path": str(target),
        "backend": to,
        "family": family_of(model.config),
        "parameters": count_parameters(model),
        "bytes": target.stat().st_size,
    }
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        _print(type(model), summary)


def _print(cls: type, summary: Mapping[str, Any]) -> None:
    target, to = summary["path"], summary["backend"]
    click.echo(
        f"{target}: {cls.__name__} for {TITLES[to]},"
        f" {summary['parameters']:,} parameters, {summary['bytes']:,} bytes"
    )
    if to == "tf":  # Keras needs the class of a subclassed model to be imported
        click.echo(
            f"to load: import {cls.__module__}; keras.models.load_model({target!r})"
        )


def _load(source: Path, to: str, config: Config | None) -> Any:
    from ..files.weights import load

    try:
        return load(source, to, name=config)
    except FileError as error:
        if config is None and "not written by zoo" in str(error):
            raise FileError(
                f"{source} was not written by zoo, so it does not say what it holds:"
                " add --name, such as --name resnet50."
            ) from None
        raise
