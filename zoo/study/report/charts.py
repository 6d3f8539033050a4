"""Charts as inline SVG: bars and dots with intervals, and lines.

Every chart is 360 units wide, so that it is as readable on a telephone as in a column
of a wide page. A mark's `data-tip` holds the text of its tooltip, and `data-s` the key
of its series, which a legend can hide; `page.js` does both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from .axes import Axis
from .marks import Group, Line, Mark, marker
from .svg import WIDTH, element, image, path, text

_CHAR = 6.3  # width of a letter at the charts' 11 units, at most
_ROW, _HEAD, _FOOT = 22.0, 20.0, 34.0
_INK = "#222"

Draw = Callable[[Mark, float], Markup]  # a mark, and the middle of its row


def bars(
    title: str,
    groups: Sequence[Group],
    top: float,
    tick: Callable[[float], str],
    values: Sequence[float] | None = None,
) -> Markup:
    """Draw horizontal bars from 0 to `top`, in groups with a heading each."""
    left, right = _gutters(groups)
    x = Axis(0, top, left, WIDTH - right, tick=tick, values=values)

    def draw(mark: Mark, y: float) -> Markup:
        assert mark.value is not None
        bar = element(
            "rect",
            x=left,
            y=y - 7,
            width=max(1.0, x(mark.value) - left),
            height=14,
            fill=mark.style.fill,
            stroke=mark.style.edge,
        )
        return bar + _whisker(x, mark, y)

    return _rows(title, groups, x, left, draw)


def dots(
    title: str, groups: Sequence[Group], x: Axis, line: float | None = None
) -> Markup:
    """Draw dots with intervals.

    Args:
        title: text for screen readers.
        groups: rows under a heading each. A hollow dot means: undecided.
        x: the axis; its start and end are set here.
        line: a value to compare with, marked by a line.
    """
    left, right = _gutters(groups)
    x = x.placed(left + 6, WIDTH - right - 6)

    def draw(mark: Mark, y: float) -> Markup:
        assert mark.value is not None
        dot = marker(mark.style, x(mark.value), y, mark.hollow)
        return _whisker(x, mark, y, mark.style.colour) + dot

    return _rows(title, groups, x, left, draw, line)


def _gutters(groups: Sequence[Group]) -> tuple[float, float]:
    """Return the widths that titles need at the left, and values at the right."""
    marks = [m for _, group in groups for m in group]
    left = max((len(m.style.title) for m in marks), default=0) * _CHAR + 10
    right = max((len(m.text) for m in marks if m.value is not None), default=0)
    return min(left, 156.0), right * _CHAR + 10


def _rows(
    title: str,
    groups: Sequence[Group],
    x: Axis,
    left: float,
    draw: Draw,
    line: float | None = None,
) -> Markup:
    """Lay out rows with labels, marks and values, and the axis under them."""
    parts, y = [], 4.0
    for heading, marks in groups:
        if heading:
            parts.append(text(0, y + 12, heading, "head"))
            y += _HEAD
        for mark in marks:
            column = None if line is None else x.end + 10
            parts.append(_row(mark, y + _ROW / 2, x, left, draw, column))
            y += _ROW
        y += 4
    grid = []
    for position, label in x.ticks(38, line):
        grid.append(path(f"M{position:.1f} 2V{y:.1f}", "grid"))
        grid.append(text(position, y + 14, label, "tick"))
    if line is not None:
        grid.append(path(f"M{x(line):.1f} 2V{y:.1f}", "one"))
    return image(title, y + _FOOT - 12, *grid, *parts)


def _row(
    mark: Mark, middle: float, x: Axis, left: float, draw: Draw, column: float | None
) -> Markup:
    """Draw a mark between its label and its value.

    The value stands at `column`, or if that is None behind the mark.
    """
    parts = [text(left - 6, middle + 4, _cut(mark.style.title, left), "end")]
    if mark.value is None:
        parts.append(text(left + 4, middle + 4, _cut(mark.text, WIDTH - left), "no"))
    else:
        parts.append(draw(mark, middle))
        if column is None:
            column = x(max(mark.value, mark.high or mark.value)) + 6
        parts.append(text(column, middle + 4, mark.text))
    return element("g", *parts, data_s=mark.style.key, data_tip=mark.tip)


def lines(
    title: str,
    drawn: Sequence[Line],
    x: Axis,
    y: Axis,
    names: tuple[str, str],
    rule: tuple[float, str] | None = None,
) -> Markup:
    """Draw lines over two axes.

    Args:
        title: text for screen readers.
        drawn: the lines; later ones lie on top.
        x, y: axes; their starts and ends are set here.
        names: labels of x and y.
        rule: a value of y marked by a line, and the line's label.
    """
    tall, foot = 216.0, 176.0
    y = y.placed(foot, 24)
    rows = y.ticks(20)
    left = max((len(label) for _, label in rows), default=1) * _CHAR + 12
    x = x.placed(left + 8, WIDTH - 14)
    parts = []
    for position, label in rows:
        parts.append(path(f"M{left:.1f} {position:.1f}H{WIDTH - 6}", "grid"))
        parts.append(text(left - 5, position + 4, label, "end tick"))
    for position, label in x.ticks(36):
        parts.append(path(f"M{position:.1f} {foot}v5", "grid"))
        parts.append(text(position, foot + 17, label, "tick"))
    parts.append(text(0, 12, names[1], "name"))
    parts.append(text(WIDTH - 6, tall - 5, names[0], "end name"))
    if rule is not None:
        value, label = rule
        parts.append(path(f"M{left:.1f} {y(value):.1f}H{WIDTH - 6}", "one"))
        parts.append(text(WIDTH - 8, y(value) + 12, label, "end tick"))
    return image(title, tall, *parts, *(_line(line, x, y) for line in drawn))


def _line(line: Line, x: Axis, y: Axis) -> Markup:
    style = line.style
    curve = element(
        "polyline",
        points=" ".join(f"{x(a):.1f},{y(b):.1f}" for a, b, *_ in line.points),
        fill="none",
        stroke=style.colour,
        stroke_width=f"{line.width:g}",
        stroke_linejoin="round",
        stroke_opacity=f"{line.opacity:g}",
        stroke_dasharray=style.dash,
    )
    parts = [element("g", curve, data_tip=line.tip) if line.tip else curve]
    for (a, b, low, high), tip in zip(line.points, line.tips):
        point = marker(style, x(a), y(b))
        if low is not None and high is not None:
            d = f"M{x(a):.1f} {y(low):.1f}V{y(high):.1f}"
            point = element("path", stroke=style.colour, d=d) + point
        parts.append(element("g", point, data_tip=tip))
    return element("g", *parts, data_s=style.key)


def _whisker(x: Axis, mark: Mark, y: float, colour: str = _INK) -> Markup:
    """Draw the interval, in ink with a white halo, if there is one."""
    if mark.low is None:
        return Markup()
    high = mark.high or 0.0
    d = f"M{x(mark.low):.1f} {y - 4:.1f}v8m0 -4H{x(high):.1f}m0 -4v8"
    halo = path(d, "halo") if colour == _INK else Markup()
    return halo + path(d, "span", stroke=colour)


def _cut(words: str, width: float) -> str:
    most = int((width - 8) / _CHAR)
    return words if len(words) <= most else words[: most - 1] + "…"
