"""`zoo bench`: speed and memory of presets, quick and without a study's proofs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from . import _options, _study, _terminal


@click.command(name="bench")
@click.argument("names", nargs=-1, required=True, metavar="PRESET…")
@_study.columns
@_study.batch_sizes
@_study.threads
@_study.device
@click.option(
    "--profile",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Also run each framework's own profiler, which leaves its traces there.",
)
@_options.small
@_options.changes
@_options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    profile: Path | None,
    small: bool,
    changes: Sequence[str],
    as_json: bool,
    **options: Any,
) -> None:
    """Time presets in several frameworks: step times, memory, share of the peak.

    Nothing is proven and nothing kept: `zoo compare` does that. Exit code 1 if a cell
    failed.
    """
    from ..study import driver, plan, terminal
    from ..study.profiling import profiles

    entries = tuple(
        plan.entry_of(name, _options.resolve(name, small, changes))
        for name in dict.fromkeys(names)
    )
    found: dict[str, Any] = {"batch_sizes": (1, 32), **_study.changes(options)}
    what = plan.Plan(entries=entries, proof=(), name="bench", **found)
    total = len(what.groups())
    with (
        tempfile.TemporaryDirectory() as folder,
        _terminal.progress(total, True) as bar,
    ):
        study = driver.compare(
            what, folder, say=lambda done, _, text: bar(min(done, total - 1), text)
        )
    odd = terminal.problems(study)
    traces = profiles(what, profile) if profile is not None else []
    if as_json:
        told = {"ok": not odd, "problems": odd, "rows": study.rows}
        click.echo(json.dumps(told | {"profiles": traces}))
        ctx.exit(1 if odd or any("error" in t for t in traces) else 0)
    console = _terminal.stdout()
    for shown in terminal.tables(study):
        _terminal.print_table(console, shown)
    for line in odd:
        _terminal.print_text(console, line, "red")
    for trace in traces:
        _terminal.print_table(console, terminal.operators(trace))
        _terminal.print_text(console, f"trace: {trace['folder']}", "dim")
    ctx.exit(1 if odd or any("error" in t for t in traces) else 0)
