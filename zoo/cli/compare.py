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


@click.command(name="compare", cls=_recipe.RecipeCommand)
@click.argument("names", nargs=-1, required=True, metavar="PRESET|STUDY.toml…")
@_study.columns
@click.option("--data", help="What to train on; it changes classes and channels.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER")
@_study.batch_sizes
@click.option("--seeds", metavar="0,1,2", help="Of the weights.  [0]")
@click.option("--train", is_flag=True, help="Also train by the recipe, and test.")
@click.option("--target", type=float, help="Accuracy whose time is told.")
@click.option("--baseline", metavar="BACKEND[:MODE]", help="Ratios are to this one.")
@_study.threads
@_study.device
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="A process a cell here, or the machines of a Ray cluster.",
)
@click.option("--address", help="Of a Ray cluster; without, one is started here.")
@click.option("--overwrite", is_flag=True, help="Begin anew in FOLDER.")
@_options.small
@_options.changes
@_options.as_json
@_recipe.options(without=("seed",))
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    out: Path,
    engine: str,
    address: str | None,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare presets across frameworks: correctness, speed, memory, training.

    Each column (a framework in a mode) runs in a process of its own, and is timed only
    if it is proven the same network as the others. Stopped or killed, the same command
    goes on where it was. Exit code 1 if a cell failed, or is not the same network.
    """
    plan = _plan(names, options)
    from ..files.atomic import write_text
    from ..study import driver, results, terminal
    from ..study.report import page

    where = _engine(engine, address, plan.threads)
    words = ["zoo", *(w for w in sys.argv[1:] if w != "--overwrite")]
    total = len(plan.groups())
    try:
        with _terminal.progress(total, plain=True) as bar:
            study = driver.compare(
                plan,
                out,
                engine=where,
                overwrite=overwrite,
                command=shlex.join(words),
                say=lambda done, total, text: bar(min(done, total - 1), text),
            )
    finally:
        where.close()
    folder = results.StudyFolder(out)
    text = page.render([study])
    write_text(folder.report, text)
    odd = terminal.problems(study)
    if as_json:
        told = {"ok": not odd, "report": str(folder.report), "problems": odd}
        click.echo(json.dumps(told | {"rows": study.rows}))
        ctx.exit(1 if odd else 0)
    console = _terminal.stdout()
    for found in terminal.tables(study):
        _terminal.print_table(console, found)
    for line in odd:
        _terminal.print_text(console, line, "red")
    for line in terminal.sentences(study):
        _terminal.print_text(console, line)
    _terminal.print_text(console, f"\nreport: {_terminal.short_path(folder.report)}")
    ctx.exit(1 if odd else 0)


def _engine(name: str, address: str | None, threads: int) -> Any:
    from ..study.engine import Local

    if name == "local":
        if address is not None:
            raise click.UsageError("--address is of a Ray cluster: add --engine ray.")
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
                f"{files[0]} says what is compared: leave out"
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
