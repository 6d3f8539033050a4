"""`zoo demo`: every family in every framework, from one seed, on real data."""

from __future__ import annotations

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
    photographs. Exit code 1 if any two differ.
    """
    from .. import data, demo

    rooms = _options.comparable(backends)
    with _terminal.progress(len(demo.EXHIBITS), plain=True) as say:
        say(0, "reading the digits and the photographs")
        data.digits()
        data.photographs()
        _terminal.load_rooms(rooms, lambda text: say(0, text), least=2)
        found = demo.run(
            rooms, seed=seed, small=small, exhibits=demo.EXHIBITS, progress=say
        )
    if as_json:
        click.echo(found.to_json())
        ctx.exit(0 if found.ok else 1)
    console = _terminal.stdout()
    _terminal.print_table(console, found.table())
    _terminal.print_text(console, demo.LEGEND, style="dim")
    for note in found.notes():
        _terminal.print_text(console, note, style="" if found.ok else "red")
    style = "bold green" if found.ok else "bold red"
    _terminal.print_text(console, f"\n{found.verdict()} ({found.seconds:.0f} s)", style)
    _terminal.print_text(console, demo.NEXT)
    ctx.exit(0 if found.ok else 1)
