"""`zoo report`: the page of one study, of several together, or of a difference."""

from __future__ import annotations

import json
from pathlib import Path

import click

from . import _options, _terminal


@click.command(name="report")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--diff", is_flag=True, help="Show what changed from the first study to the second."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write the page.  [report.html in the study's folder; of several"
    " studies, in this folder]",
)
@_options.as_json
def command(
    paths: tuple[Path, ...], diff: bool, out: Path | None, as_json: bool
) -> None:
    """Write the HTML report of one study, or of several.

    PATHS are folders that `zoo compare` wrote, or their results.jsonl. Several studies,
    such as those of several machines, are shown side by side; --diff compares two.
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
    for i, study in enumerate(studies):  # two may have the same name
        if names.count(study.label) > 1:
            studies[i] = study._replace(label=f"{study.label} ({paths[i]})")
    if out is None:
        folder = paths[0] if paths[0].is_dir() else paths[0].parent
        out = folder / "report.html" if len(paths) == 1 else Path("report.html")
    text = page.render_diff(*studies) if diff else page.render(studies)
    write_text(out, text)
    if as_json:
        rows = [row for study in studies for row in study.rows]
        click.echo(json.dumps({"report": str(out), "rows": rows}))
    else:
        click.echo(f"report: {_terminal.short_path(out)}")
