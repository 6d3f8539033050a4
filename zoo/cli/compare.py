"""`zoo compare`: a study of presets in several frameworks and modes."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from . import _options, _recipe, _study, _terminal

if TYPE_CHECKING:
    from ..study.plan import Plan
    from ..study.results import Study


@click.command(name="compare", cls=_recipe.RecipeCommand)
@click.argument("names", nargs=-1, required=True, metavar="PRESET|STUDY.toml…")
@_study.columns
@click.option("--data", help="Data set; it sets the number of classes and channels.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER")
@_study.batch_sizes
@click.option("--seeds", metavar="0,1,2", help="Seeds of the weights.  [0]")
@click.option("--train", is_flag=True, help="Also train by the recipe, and evaluate.")
@click.option(
    "--target", type=float, help="Accuracy to reach; the time until then is reported."
)
@click.option(
    "--baseline",
    metavar="BACKEND[:MODE]",
    help="Times are divided by this one's.  [the first of --backends]",
)
@_study.threads
@_study.device
@_study.engine
@_study.address
@click.option("--overwrite", is_flag=True, help="Replace another study in FOLDER.")
@_options.small
@_options.changes
@_options.as_json
@_recipe.options(without=("seed",))
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    out: Path,
    engine_name: str,
    address: str | None,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Prove presets equal across frameworks, and compare speed.

    A cell is a preset in a framework and mode. Each runs in a process of its own, and
    is timed only if it is proven to be the same network as the others. --train also
    compares training runs. If it is interrupted, run the same command again: it
    continues. Exit code 1 if a cell failed, or is not the same network.
    """
    from ..study import terminal

    plan = _plan(names, options)
    engine = _engine(engine_name, address, plan.threads)
    given = (word for word in sys.argv[1:] if word != "--overwrite")
    shown = shlex.join(["zoo", *given])
    try:
        study = _study.run(plan, out, engine=engine, overwrite=overwrite, command=shown)
    finally:
        engine.close()
    report, problems = _write_report(study, out), terminal.problems(study)
    if as_json:
        result = {"ok": not problems, "report": str(report), "problems": problems}
        click.echo(json.dumps(result | {"rows": study.rows}))
    else:
        _print(study, report)
    ctx.exit(1 if problems else 0)


def _write_report(study: Study, out: Path) -> Path:
    from ..files.atomic import write_text
    from ..study.report import page
    from ..study.results import StudyFolder

    path = StudyFolder(out).report
    write_text(path, page.render([study]))
    return path


def _print(study: Study, report: Path) -> None:
    from ..study import terminal

    console = _terminal.stdout()
    _study.print_tables(console, study)
    for line in terminal.sentences(study):
        _terminal.print_text(console, line)
    _terminal.print_text(console, f"\nreport: {_terminal.short_path(report)}")


def _engine(name: str, address: str | None, threads: int) -> Any:
    from ..study.engine import Local

    if name == "local":
        if address is not None:
            raise click.UsageError("--address names a Ray cluster: add --engine ray.")
        return Local()
    from ..study.ray_engine import RayEngine

    return RayEngine(address, threads)


def _plan(names: Sequence[str], options: dict[str, Any]) -> Plan:
    from ..study import plan

    files = [name for name in names if name.endswith(".toml")]
    if files:
        if len(names) > 1:
            raise click.UsageError("Give one study file, or presets.")
        surplus = [k for k in ("data", "small", "changes") if options[k]]
        recipe = _recipe.given(options) or options["recipe_file"]
        if surplus or recipe:
            raise click.UsageError(
                f"{files[0]} defines what is compared: leave out"
                f" {', '.join(surplus) or 'the recipe'}, or change the file."
            )
        return plan.read(files[0], **_study.changes(options))
    recipe = _recipe.resolve(options["recipe_file"], options)
    from .. import data as datasets

    entries = []
    for name in dict.fromkeys(names):
        config = _options.resolve(name, options["small"], options["changes"])
        data = options["data"]
        if data is None and options["train"]:
            data = datasets.usual(name, config)
        by_hand = _options.settings(options["changes"])
        entries.append(plan.entry_of(name, config, data, recipe, by_hand))
    changes = _study.changes(options)
    if options["train"] and not (recipe.steps or recipe.epochs):
        raise ConfigError("--train needs the run's length: give --steps or --epochs.")
    return plan.Plan(entries=tuple(entries), **changes)
