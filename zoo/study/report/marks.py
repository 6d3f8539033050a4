"""Marks of charts: how a series looks, its marker, and its swatch in a legend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from .svg import element, path


class Style(NamedTuple):
    """How one framework in one mode looks, everywhere in a report."""

    key: int  # in the page's `data-s` and `data-key`
    title: str
    colour: str
    rank: int  # of the mode within its framework: 0 is solid

    @property
    def fill(self) -> str:
        """Paint of its bars: the plain colour, or a pattern of it."""
        return f"url(#fill{self.key})" if self.rank % 6 else self.colour

    @property
    def edge(self) -> str | None:
        """Colour around a bar that is not solid."""
        return self.colour if self.rank else None

    @property
    def dash(self) -> str | None:
        """Dashes of its lines."""
        return (None, "7 3", "2 3", "9 3 2 3", "4 2", "1 3")[self.rank % 6]


class Mark(NamedTuple):
    """A value with its interval. Where `value` is None, only `text` is shown."""

    style: Style
    value: float | None
    low: float | None
    high: float | None
    text: str
    tip: str
    hollow: bool = False


class Line(NamedTuple):
    """A line through points (x, y, low, high); low and high may be None."""

    style: Style
    points: Sequence[tuple[float, float, float | None, float | None]]
    tips: Sequence[str]  # one for each point, or none: then no points are drawn
    tip: str = ""  # of the whole line
    width: float = 2.0
    opacity: float = 1.0


Group = tuple[str, Sequence[Mark]]  # heading and rows


def marker(style: Style, x: float, y: float, hollow: bool = False) -> Markup:
    """Draw the style's marker: each mode of a framework has another shape."""
    shape = (
        "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        "M-3.6 -3.6h7.2v7.2h-7.2z",
        "M0 -4.8L4.6 3.6H-4.6z",
        "M0 -5L5 0L0 5L-5 0z",
        "M0 4.8L4.6 -3.6H-4.6z",
        "M-4.5 -1.5h3v-3h3v3h3v3h-3v3h-3v-3h-3z",
    )[style.rank % 6]
    return element(
        "path",
        transform=f"translate({x:.1f} {y:.1f})",
        d=shape,
        fill="#fff" if hollow else style.colour,
        stroke=style.colour,
        stroke_width=1.5,
    )


def swatch(style: Style) -> Markup:
    """Draw a legend's swatch: a piece of bar, of line, and the marker."""
    return element(
        "svg",
        element(
            "rect", x=1, y=2, width=14, height=10, fill=style.fill, stroke=style.edge
        ),
        _stroke("M20 7H45", style),
        marker(style, 32.5, 7),
        class_="swatch",
        width=46,
        height=14,
        viewBox="0 0 46 14",
        aria_hidden="true",
    )


def line_swatch(style: Style) -> Markup:
    """Draw a piece of the style's line."""
    line = _stroke("M0 5H30", style)
    return element(
        "svg", line, class_="swatch", width=30, height=10, aria_hidden="true"
    )


def _stroke(d: str, style: Style) -> Markup:
    return path(d, stroke=style.colour, stroke_width=2, stroke_dasharray=style.dash)


def patterns(styles: Iterable[Style]) -> Markup:
    """Return the patterns that `Style.fill` names, for the whole page."""
    made = []
    for style in styles:
        colour = style.colour
        strokes = (
            "",
            path("M0 0V8", stroke=colour, stroke_width=6),  # turned: hatches
            element("rect", width=8, height=8, fill=colour, fill_opacity=".3"),
            element("circle", cx=4, cy=4, r=2, fill=colour),
            path("M0 4H8M4 0V8", stroke=colour, stroke_width=1.5),
            path("M0 4H8", stroke=colour, stroke_width=3),
        )[style.rank % 6]
        made.append(
            element(
                "pattern",
                element("rect", width=8, height=8, fill="#fff"),
                strokes,
                id=f"fill{style.key}",
                width=8,
                height=8,
                patternUnits="userSpaceOnUse",
                patternTransform="rotate(45)" if style.rank % 6 in (1, 4) else None,
            )
        )
    return element(
        "svg",
        element("defs", *made),
        class_="patterns",
        width=0,
        height=0,
        aria_hidden="true",
    )
