"""`zoo bench`: speed and memory of presets, without a study's proofs."""

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
    help="Also run each framework's own profiler; its traces go into FOLDER.",
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
    """Time presets in several frameworks, without proofs.

    Prints step times, peak memory, and the share of the machine's peak. Nothing is
    proven and nothing is kept: use `zoo compare` for that. Exit code 1 if a cell
    failed.
    """
    from ..study import plan, terminal
    from ..study.profiling import profiles

    entries = tuple(
        plan.entry_of(name, _options.resolve(name, small, changes))
        for name in dict.fromkeys(names)
    )
    fields: dict[str, Any] = {"batch_sizes": (1, 32), **_study.changes(options)}
    study_plan = plan.Plan(entries=entries, proof=(), name="bench", **fields)
    with tempfile.TemporaryDirectory() as folder:
        study = _study.run(study_plan, folder)
    problems = terminal.problems(study)
    traces = profiles(study_plan, profile) if profile is not None else []
    if as_json:
        result = {"ok": not problems, "problems": problems, "rows": study.rows}
        click.echo(json.dumps(result | {"profiles": traces}))
    else:
        console = _terminal.stdout()
        _study.print_tables(console, study)
        for trace in traces:
            _terminal.print_table(console, terminal.operators(trace))
            _terminal.print_text(console, f"trace: {trace['folder']}", "dim")
    ctx.exit(1 if problems or any("error" in trace for trace in traces) else 0)
