"""What a page is made of. The templates turn these into HTML and escape their texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from .marks import Style


class Figure(NamedTuple):
    """A chart with its caption."""

    caption: str
    picture: Markup
    key: Sequence[tuple[Markup, str]] = ()  # swatches and names, under the picture


class Sentence(NamedTuple):
    """A sentence that starts in bold."""

    subject: str
    rest: str


class Cell(NamedTuple):
    """A table's cell that holds more than text."""

    text: str
    small: str = ""  # after the text
    colour: str = ""  # of a dot before the text
    strong: bool = False
    span: int = 1


class Table(NamedTuple):
    """A table in a box that scrolls by itself."""

    kind: str  # its class in the style sheet
    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]


class Part(NamedTuple):
    """What a section shows of one study."""

    label: str  # of the study, where there are several; else ""
    content: Any  # what the section's template takes


class Section(NamedTuple):
    """A section of a page."""

    name: str  # its id
    title: str
    lead: str
    template: str  # draws each part
    parts: Sequence[Part]
    legend: bool = False
    fold: str = ""  # if given, the section is folded behind these words


def key(style: Style) -> Cell:
    """Return a column's name with a dot of its colour."""
    return Cell(style.title, colour=style.colour)


def tables(
    kind: str, head: Sequence[str], rows: Iterable[Sequence[str | Cell]]
) -> list[Table]:
    """Return one table, or none if it has no rows."""
    rows = list(rows)
    return [Table(kind, head, rows)] if rows else []
