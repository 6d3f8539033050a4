"""Charts as inline SVG: bars and dots with intervals, and lines.

Everything is drawn 360 units wide, so that a chart is as readable on a telephone as in
a column of a wide page. What hovering tells stands in `data-tip`, and `data-s` says
whose mark it is, so that a legend can hide it; `page.js` does both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import NamedTuple

WIDTH = 360.0
_CHAR = 6.3  # at most, of a letter at the charts' 11 units
_ROW, _HEAD, _FOOT = 22.0, 20.0, 34.0


class Style(NamedTuple):
    """How one framework in one mode looks, everywhere in a report."""

    key: int  # what `data-s` says
    title: str
    colour: str
    rank: int  # of the mode within its framework: 0 is solid

    @property
    def fill(self) -> str:
        """Paint of its bars: the plain colour, or a pattern of it."""
        return f"url(#fill{self.key})" if self.rank % 6 else self.colour

    @property
    def dash(self) -> str:
        """Dashes of its lines."""
        return ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 3")[self.rank % 6]


class Mark(NamedTuple):
    """A value with its interval; `value` None is told in words, by `text`."""

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
    tips: Sequence[str]  # of each point; without, only the line has one
    tip: str = ""
    width: float = 2.0
    opacity: float = 1.0


Group = tuple[str, Sequence[Mark]]


class Axis:
    """Maps values to positions, and knows where ticks look well.

    Args:
        low, high: of the values.
        start, end: of the positions.
        log: equal factors are equally far apart.
        unit: written behind the last tick's number.
        tick: how a number is written.
        values: ticks to choose from; by default, round numbers.
    """

    def __init__(
        self,
        low: float,
        high: float,
        start: float,
        end: float,
        *,
        log: bool = False,
        tick: Callable[[float], str] | None = None,
        values: Sequence[float] | None = None,
    ) -> None:
        self.log, self.tick = log, tick or number
        if high <= low:
            low, high = (low / 2, low * 2) if log else (low - 0.5, low + 0.5)
        self.low, self.high, self.start, self.end = low, high, start, end
        if values is None:
            values = _decades(low, high) if log else _round(low, high)
        self.values = values

    def __call__(self, value: float) -> float:
        """Return a value's position, within the axis."""
        a, b, v = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            a, b, v = math.log(a), math.log(b), math.log(v)
        return self.start + (v - a) / (b - a) * (self.end - self.start)

    def ticks(
        self, apart: float, first: float | None = None
    ) -> list[tuple[float, str]]:
        """Return positions and words of ticks at least so far apart; `first` stays."""
        inside = [v for v in self.values if self.low <= v <= self.high]
        inside.sort(key=lambda v: v != first)
        kept: list[tuple[float, str]] = []
        for v in inside:
            at = self(v)
            if all(abs(at - other) >= apart for other, _ in kept):
                kept.append((at, self.tick(v)))
        return kept


def _round(low: float, high: float) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten: three to six of them."""
    step = 10 ** math.floor(math.log10(high - low))
    step = next(
        s for s in (step / 5, step / 2, step, step * 2) if (high - low) / s <= 5
    )
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Return powers of ten, then what lies between them, the roundest first."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5, 3, 7, 1.5, 4)
    return [m * 10.0**i for m in factors for i in range(first, last + 1)]


def number(value: float) -> str:
    """Return a number with up to three digits that count."""
    text = three(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def three(value: float) -> str:
    """Return a number with three digits that count, zeros too."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    size = math.floor(math.log10(abs(value)))
    if not -3 <= size < 7:
        return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.{max(0, 2 - size)}f}"


# Charts. Each returns an <svg>.


def bars(
    title: str,
    groups: Sequence[Group],
    top: float,
    tick: Callable[[float], str],
    values: Sequence[float] | None = None,
) -> str:
    """Draw horizontal bars from 0 to `top`, in groups with a heading each."""
    left, right = _gutters(groups)
    x = Axis(0, top, left, WIDTH - right, tick=tick, values=values)

    def draw(mark: Mark, y: float) -> str:
        assert mark.value is not None
        width = max(1.0, x(mark.value) - left)
        edge = f' stroke="{mark.style.colour}"' if mark.style.rank else ""
        return (
            f'<rect x="{left:.1f}" y="{y - 7:.1f}" width="{width:.1f}" height="14"'
            f' fill="{mark.style.fill}"{edge}/>'
            + (_whisker(x, mark, y) if mark.low is not None else "")
        )

    return _rows(title, groups, x, left, draw)


def dots(
    title: str, groups: Sequence[Group], x: Axis, line: float | None = None
) -> str:
    """Draw dots with intervals on an axis, with a line where `line` is.

    Args:
        title: what a person who cannot see it is told.
        groups: rows under a heading each.
        x: the axis; its ends are placed here. A hollow dot is one that tells nothing.
        line: of comparison.
    """
    left, right = _gutters(groups)
    x = Axis(
        x.low, x.high, left + 6, WIDTH - right - 6,
        log=x.log, tick=x.tick, values=x.values,
    )  # fmt: skip

    def draw(mark: Mark, y: float) -> str:
        assert mark.value is not None
        span = _whisker(x, mark, y, mark.style.colour) if mark.low is not None else ""
        return span + marker(mark.style, x(mark.value), y, mark.hollow)

    return _rows(title, groups, x, left, draw, line)


def _gutters(groups: Sequence[Group]) -> tuple[float, float]:
    marks = [m for _, found in groups for m in found]
    left = max((len(m.style.title) for m in marks), default=0) * _CHAR + 10
    right = max((len(m.text) for m in marks if m.value is not None), default=0)
    return min(left, 156.0), right * _CHAR + 10


def _rows(
    title: str,
    groups: Sequence[Group],
    x: Axis,
    left: float,
    draw: Callable[[Mark, float], str],
    line: float | None = None,
) -> str:
    """Lay out rows with labels, values in words, and the axis under them."""
    parts, y = [], 4.0
    for heading, found in groups:
        if heading:
            parts.append(_text(0, y + 12, heading, "head"))
            y += _HEAD
        for mark in found:
            middle = y + _ROW / 2
            inner = _text(left - 6, middle + 4, _cut(mark.style.title, left), "end")
            if mark.value is None:
                inner += _text(
                    left + 4, middle + 4, _cut(mark.text, WIDTH - left), "no"
                )
            else:
                inner += draw(mark, middle)
                at = x(max(mark.value, mark.high or mark.value)) + 6
                inner += _text(
                    at if line is None else x.end + 10, middle + 4, mark.text
                )
            parts.append(_marked(mark.style, mark.tip, inner))
            y += _ROW
        y += 4
    grid = "".join(
        f'<path class="grid" d="M{at:.1f} 2V{y:.1f}"/>'
        + _text(at, y + 14, words, "tick")
        for at, words in x.ticks(38, line)
    )
    if line is not None:
        grid += f'<path class="one" d="M{x(line):.1f} 2V{y:.1f}"/>'
    return svg(title, grid + "".join(parts), y + _FOOT - 12)


def lines(
    title: str,
    drawn: Sequence[Line],
    x: Axis,
    y: Axis,
    names: tuple[str, str],
    rule: tuple[float, str] | None = None,
) -> str:
    """Draw lines over two axes.

    Args:
        title: what a person who cannot see it is told.
        drawn: the lines, those first that lie below.
        x, y: axes; their ends are placed here.
        names: what x and y are.
        rule: a value of y that is marked, and its word.
    """
    tall, foot = 216.0, 176.0
    y = Axis(y.low, y.high, foot, 24, log=y.log, tick=y.tick, values=y.values)
    rows = y.ticks(20)
    left = max((len(words) for _, words in rows), default=1) * _CHAR + 12
    x = Axis(
        x.low, x.high, left + 8, WIDTH - 14, log=x.log, tick=x.tick, values=x.values
    )
    parts = [
        f'<path class="grid" d="M{left:.1f} {at:.1f}H{WIDTH - 6}"/>'
        + _text(left - 5, at + 4, words, "end tick")
        for at, words in rows
    ]
    parts += [
        f'<path class="grid" d="M{at:.1f} {foot}v5"/>'
        + _text(at, foot + 17, words, "tick")
        for at, words in x.ticks(36)
    ]
    parts.append(_text(0, 12, names[1], "name"))
    parts.append(_text(WIDTH - 6, tall - 5, names[0], "end name"))
    if rule is not None:
        at = y(rule[0])
        parts.append(f'<path class="one" d="M{left:.1f} {at:.1f}H{WIDTH - 6}"/>')
        parts.append(_text(WIDTH - 8, at + 12, rule[1], "end tick"))
    return svg(title, "".join(parts) + "".join(_line(n, x, y) for n in drawn), tall)


def _line(line: Line, x: Axis, y: Axis) -> str:
    style = line.style
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b, *_ in line.points)
    dash = f' stroke-dasharray="{style.dash}"' if style.dash else ""
    inner = (
        f'<polyline points="{path}" fill="none" stroke="{style.colour}"'
        f' stroke-width="{line.width}" stroke-linejoin="round"'
        f' stroke-opacity="{line.opacity}"{dash}/>'
    )
    inner = _tipped(line.tip, inner)
    for (a, b, low, high), tip in zip(line.points, line.tips):
        at, bar = x(a), ""
        if low is not None and high is not None:
            d = f"M{at:.1f} {y(low):.1f}V{y(high):.1f}"
            bar = f'<path stroke="{style.colour}" d="{d}"/>'
        inner += _tipped(tip, bar + marker(style, at, y(b)))
    return f'<g data-s="{style.key}">{inner}</g>'


def marker(style: Style, x: float, y: float, hollow: bool = False) -> str:
    """Draw the style's marker: each mode of a framework has another shape."""
    paint = (
        f'fill="{"#fff" if hollow else style.colour}" stroke="{style.colour}"'
        ' stroke-width="1.5"'
    )
    shape = (
        "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        "M-3.6 -3.6h7.2v7.2h-7.2z",
        "M0 -4.8L4.6 3.6H-4.6z",
        "M0 -5L5 0L0 5L-5 0z",
        "M0 4.8L4.6 -3.6H-4.6z",
        "M-4.5 -1.5h3v-3h3v3h3v3h-3v3h-3v-3h-3z",
    )[style.rank % 6]
    return f'<path transform="translate({x:.1f} {y:.1f})" d="{shape}" {paint}/>'


def swatch(style: Style) -> str:
    """Draw what stands in a legend: a piece of bar, of line, and the marker."""
    edge = f' stroke="{style.colour}"' if style.rank else ""
    dash = f' stroke-dasharray="{style.dash}"' if style.dash else ""
    return (
        '<svg class="swatch" width="46" height="14" viewBox="0 0 46 14"'
        ' aria-hidden="true">'
        f'<rect x="1" y="2" width="14" height="10" fill="{style.fill}"{edge}/>'
        f'<path d="M20 7H45" stroke="{style.colour}" stroke-width="2"{dash}/>'
        f"{marker(style, 32.5, 7)}</svg>"
    )


def patterns(styles: Iterable[Style]) -> str:
    """Return the patterns that `Style.fill` names, for the whole page."""
    found = []
    for style in styles:
        c = style.colour
        inside = (
            "",
            f'<path d="M0 0V8" stroke="{c}" stroke-width="6"/>',  # turned: hatches
            f'<rect width="8" height="8" fill="{c}" fill-opacity=".3"/>',
            f'<circle cx="4" cy="4" r="2" fill="{c}"/>',
            f'<path d="M0 4H8M4 0V8" stroke="{c}" stroke-width="1.5"/>',
            f'<path d="M0 4H8" stroke="{c}" stroke-width="3"/>',
        )[style.rank % 6]
        turn = ' patternTransform="rotate(45)"' if style.rank % 6 in (1, 4) else ""
        found.append(
            f'<pattern id="fill{style.key}" width="8" height="8"'
            f' patternUnits="userSpaceOnUse"{turn}>'
            f'<rect width="8" height="8" fill="#fff"/>{inside}</pattern>'
        )
    return (
        '<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>'
        f"{''.join(found)}</defs></svg>"
    )


def svg(title: str, inner: str, height: float) -> str:
    """Return an <svg> with what a screen reader says of it."""
    words = escape(title)
    return (
        f'<svg role="img" tabindex="0" aria-label="{words}"'
        f' viewBox="0 0 {WIDTH:.0f} {height:.0f}">'
        f"<title>{words}</title><desc>All numbers stand in the table at the end.</desc>"
        f"{inner}</svg>"
    )


def _whisker(x: Axis, mark: Mark, y: float, colour: str = "#222") -> str:
    low, high = mark.low or 0.0, mark.high or 0.0
    d = f"M{x(low):.1f} {y - 4:.1f}v8m0 -4H{x(high):.1f}m0 -4v8"
    halo = f'<path class="halo" d="{d}"/>' if colour == "#222" else ""
    return f'{halo}<path class="span" stroke="{colour}" d="{d}"/>'


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind}>{escape(words)}</text>'


def _cut(words: str, width: float) -> str:
    most = int((width - 8) / _CHAR)
    return words if len(words) <= most else words[: most - 1] + "…"


def _marked(style: Style, tip: str, inner: str) -> str:
    return f'<g data-s="{style.key}" data-tip="{escape(tip)}">{inner}</g>'


def _tipped(tip: str, inner: str) -> str:
    return f'<g data-tip="{escape(tip)}">{inner}</g>' if tip else inner
