"""`zoo show`: the twins of an architecture, side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ..errors import FileError
from ..registry import BACKENDS, TITLES
from ..registry import config as preset
from ..source import Cut, align, cut
from . import _options, _terminal

if TYPE_CHECKING:
    from rich.text import Text

NARROWEST = 44  # columns of a twin; in less the twins are not side by side
THEME = "ansi_dark"  # the terminal's own sixteen colours


@click.command(name="show")
@click.argument("name")
@_options.backends
@click.option("--whole", is_flag=True, help="Show the whole file.")
@click.option("--layers", is_flag=True, help="Also show what _layers.py provides.")
@_options.as_json
def command(
    name: str, backends: list[str], whole: bool, layers: bool, as_json: bool
) -> None:
    """Show the source of a preset's twins side by side.

    Shown are the model's class and the blocks that it uses. Equal steps are on equal
    lines. In a narrow terminal or a pipe the twins follow one another.
    """
    config = preset(name)
    cuts: dict[str, Cut] = {}
    for backend in backends or BACKENDS:
        try:
            cuts[backend] = cut(config, backend, whole=whole, layers=layers)
        except OSError as error:
            raise FileError(
                f"cannot read {error.filename}: {error.strerror}."
            ) from None
    if as_json:
        twins = {
            backend: {"file": str(c.path), "line": c.line, "source": c.code}
            for backend, c in cuts.items()
        }
        click.echo(json.dumps({"name": name, "twins": twins}, indent=2))
        return
    console = _terminal.stdout()
    if not console.is_terminal:
        for backend, c in cuts.items():
            click.echo(f"# {_title(backend, c)}\n\n{c.code}")
        return
    width = (console.width - 3 * (len(cuts) - 1)) // len(cuts)
    if len(cuts) > 1 and width >= NARROWEST:
        console.print(_side_by_side(cuts, width))
        return
    for backend, c in cuts.items():
        console.print(f"{_title(backend, c)}\n", style="bold", markup=False)
        console.print(*_highlighted(c.code, console.width), sep="\n", end="\n\n\n")


def _title(backend: str, c: Cut) -> str:
    return f"{TITLES[backend]}: {_terminal.short_path(c.path)}:{c.line}"


def _side_by_side(cuts: dict[str, Cut], width: int) -> object:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.MINIMAL, pad_edge=False, show_edge=False)
    codes = []
    for backend, c in cuts.items():
        table.add_column(_title(backend, c), width=width, no_wrap=True)
        codes.append(_highlighted(c.code, None))
    for row in align([c.parts for c in cuts.values()]):
        cells = []
        for part, lines in zip(row, codes):
            own = lines[part.start : part.stop] if part else []
            wrapped = [piece for line in own for piece in _wrap(line, width)]
            cells.append(Text("\n").join(wrapped))
        table.add_row(*cells)
    return table


def _highlighted(code: str, width: int | None) -> list[Text]:
    """Return the lines of code in colour, wrapped to a width."""
    from rich.syntax import Syntax

    syntax = Syntax("", "python", theme=THEME, background_color="default")
    lines = list(syntax.highlight(code).split("\n", allow_blank=True))
    if width is None:
        return lines
    return [piece for line in lines for piece in _wrap(line, width)]


def _wrap(line: Text, width: int) -> list[Text]:
    """Break a long line at spaces; indent the rest by four more columns."""
    pieces = []
    plain = line.plain
    indent = min(len(plain) - len(plain.lstrip()) + 4, width // 2)
    while len(line) > width:
        at = line.plain.rfind(" ", indent, width + 1)
        at = at if at > 0 and line.plain[:at].strip() else width
        head, line = line.divide([at])
        pieces.append(head)
        line = line[len(line.plain) - len(line.plain.lstrip()) :]
        line.pad_left(indent)
    return [*pieces, line]
