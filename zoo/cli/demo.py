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
    """Compare one network of each family in all frameworks.

    The networks start from the same weights and see the same data: handwritten digits
    and photographs. Exit code 1 if any two differ.
    """
    from ..data import scikit
    from ..parity import demo

    backends = list(_options.comparable(backends))
    with _terminal.progress(len(demo.EXHIBITS), plain=True) as bar:
        bar(0, "reading the digits and the photographs")
        scikit.digits()
        scikit.photographs()
        _terminal.load_backends(backends, lambda text: bar(0, text), least=2)
        exhibition = demo.run(
            backends, seed=seed, small=small, exhibits=demo.EXHIBITS, progress=bar
        )
    if as_json:
        click.echo(exhibition.to_json())
        ctx.exit(0 if exhibition.ok else 1)
    console = _terminal.stdout()
    _terminal.print_table(console, exhibition.table())
    _terminal.print_text(console, demo.LEGEND, style="dim")
    for note in exhibition.notes():
        _terminal.print_text(console, note, style="" if exhibition.ok else "red")
    style = "bold green" if exhibition.ok else "bold red"
    _terminal.print_text(console, f"\n{exhibition.verdict()}", style)
    _terminal.print_text(console, f"{exhibition.seconds:.0f} s in all. {demo.NEXT}")
    ctx.exit(0 if exhibition.ok else 1)
