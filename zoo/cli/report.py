"""`zoo report`: the page of a study, made anew, merged from several, or compared."""

from __future__ import annotations

import json
from pathlib import Path

import click

from . import _options, _terminal


@click.command(name="report")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--diff", is_flag=True, help="What changed from the first study to the second."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The page.  [report.html of the one study, or else in this folder]",
)
@_options.as_json
def command(
    paths: tuple[Path, ...], diff: bool, out: Path | None, as_json: bool
) -> None:
    """Make the report of studies: folders of `zoo compare`, or their results.jsonl.

    Several are shown side by side, as those of several machines are; with --diff, two
    are held against each other.
    """
    if diff and len(paths) != 2:
        raise click.UsageError(f"--diff takes two studies; got {len(paths)}.")
    from ..files.atomic import write_text
    from ..study import results
    from ..study.report import page

    studies = []
    for path in paths:
        study, notes = results.read(path)
        studies.append(study)
        for note in notes:
            click.echo(f"zoo: {note}", err=True)
    names = [study.label for study in studies]
    for i, study in enumerate(studies):  # two may have one name
        if names.count(study.label) > 1:
            studies[i] = study._replace(label=f"{study.label} ({paths[i]})")
    if out is None:
        one = paths[0] if paths[0].is_dir() else paths[0].parent
        out = one / "report.html" if len(paths) == 1 else Path("report.html")
    text = page.render_diff(*studies) if diff else page.render(studies)
    write_text(out, text)
    if as_json:
        rows = [row for study in studies for row in study.rows]
        click.echo(json.dumps({"report": str(out), "rows": rows}))
    else:
        click.echo(f"report: {_terminal.short_path(out)}")
