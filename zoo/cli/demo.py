"""`zoo demo`: every family in every framework, from one seed, on real data."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from . import _options, _terminal


@click.command(name="demo")
@_options.small
@_options.backends
@_options.seed
@_options.as_json
@click.pass_context
def command(
    ctx: click.Context, small: bool, backends: list[str], seed: int, as_json: bool
) -> None:
    """Build a network of each family in every framework, and compare them.

    They start from the same weights and see the same data: handwritten digits and
    photographs. Then one of them is trained in every framework. Exit code 1 if any two
    differ.
    """
    from .. import data, demo, race

    rooms = _options.comparable(backends)
    total = len(demo.EXHIBITS) + 1
    with _terminal.progress(total, plain=True) as say:
        say(0, "reading the digits and the photographs")
        data.digits()
        data.photographs()
        _terminal.load_rooms(rooms, lambda text: say(0, text), least=2)
        found = demo.run(
            rooms, seed=seed, small=small, exhibits=demo.EXHIBITS, progress=say
        )
        begin = time.perf_counter()
        trained = race.run(
            rooms,
            seed=seed,
            small=small,
            progress=lambda text: say(total - 1, f"training {race.PRESET}: {text}"),
        )
        seconds = found.seconds + time.perf_counter() - begin
    ok = found.ok and trained.ok
    if as_json:
        told = json.loads(found.to_json()) | {"ok": ok, "seconds": seconds}
        told["training"] = json.loads(trained.to_json())
        click.echo(json.dumps(told, indent=2))
        ctx.exit(0 if ok else 1)
    console = _terminal.stdout()
    _terminal.print_table(console, found.table())
    _terminal.print_text(console, demo.LEGEND, style="dim")
    for note in found.notes():
        _terminal.print_text(console, note, style="" if found.ok else "red")
    _verdict(console, found)
    title = f"{race.PRESET} trained on {race.DATA}, {race.RECIPE.epochs} epochs"
    _terminal.print_text(console, f"\n{title}", "bold")
    _terminal.print_table(console, trained.table())
    _terminal.print_text(console, race.LEGEND, style="dim")
    _verdict(console, trained)
    _terminal.print_text(console, f"{seconds:.0f} s in all. {demo.NEXT}")
    ctx.exit(0 if ok else 1)


def _verdict(console: Any, found: Any) -> None:
    style = "bold green" if found.ok else "bold red"
    _terminal.print_text(console, f"\n{found.verdict()}", style)
