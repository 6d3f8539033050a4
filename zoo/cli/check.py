"""`zoo check`: walk the ladder over the twins of presets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..configs._base import Config
from ..registry import list_models
from . import _options, _terminal

if TYPE_CHECKING:
    from rich.console import Console

    from ..parity.report import Report
    from ..spec.recipe import Recipe


@click.command(name="check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Check every preset.")
@_options.small
@_options.backends
@_options.batch
@_options.seed
@_options.device
@click.option("--train", is_flag=True, help="Also prove that training is the same.")
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    default=50,
    show_default=True,
    help="Number of training steps with --train.",
)
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Recipe for --train, as JSON.",
)
@_options.changes
@_options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    every: bool,
    small: bool,
    backends: list[str],
    recipe: Path | None,
    train: bool,
    changes: Sequence[str],
    as_json: bool,
    **settings: Any,
) -> None:
    """Prove that the twins of presets are the same model.

    NAME is a preset or a pattern, such as 'resnet*'. Exit code 1 if a check fails.
    """
    if bool(names) == every:
        raise click.UsageError("Give one or more presets, or --all.")
    presets = _expand(names or ("*",))
    configs = {name: _options.resolve(name, small, changes) for name in presets}
    settings["train"] = train if recipe is None else _read_recipe(recipe)
    settings["backends"] = list(_options.comparable(backends))
    console = _terminal.stdout()
    reports: list[Report] = []
    for name, report in _reports(configs, settings):
        report.subject = name + (" (small)" if small else "")
        reports.append(report)
        if not as_json:
            _terminal.print_table(console, report.table())
            _terminal.print_text(console, "\n".join(report.summary()) + "\n")
    _print_total(console, reports, as_json)
    ctx.exit(0 if all(report.ok for report in reports) else 1)


def _reports(
    configs: Mapping[str, Config], settings: Mapping[str, Any]
) -> Iterator[tuple[str, Report]]:
    """Yield each preset's name and its report, with a progress bar meanwhile."""
    from ..parity.check import check

    for done, (name, config) in enumerate(configs.items()):
        with _terminal.progress(len(configs)) as bar:

            def progress(text: str, done: int = done, name: str = name) -> None:
                bar(done, f"{name}: {text}")

            _terminal.load_backends(settings["backends"], progress, least=2)
            report = check(config, progress=progress, **settings)
        yield name, report


def _print_total(console: Console, reports: Sequence[Report], as_json: bool) -> None:
    failed = [report.subject for report in reports if not report.ok]
    if as_json:
        entries = [json.loads(report.to_json()) for report in reports]
        click.echo(json.dumps({"ok": not failed, "reports": entries}, indent=2))
    elif len(reports) > 1:
        proven = len(reports) - len(failed)
        console.print(f"{proven} of {len(reports)} proven the same")
        if failed:
            console.print(f"failed: {', '.join(failed)}", markup=False)


def _read_recipe(path: Path) -> Recipe:
    from ..spec.recipe import Recipe

    return Recipe.read(path)


def _expand(names: Sequence[str]) -> list[str]:
    """Return presets in the order given; a pattern becomes all that match."""
    presets: list[str] = []
    for name in names:
        matches = list_models(name) if any(c in name for c in "*?[") else []
        presets += matches or [name]
    return list(dict.fromkeys(presets))
