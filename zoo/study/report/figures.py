"""The report's charts, section by section. Each is a list of (caption, <svg>)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..results import STEPS
from .charts import Axis, Line, Mark, bars, dots, lines, number, three
from .rows import Column, Time, View, column_of
from .words import Styles, mebibytes, percent, ratio, seconds, times, unit_of

Figure = tuple[str, str]  # caption, picture
Figures = list[Figure]
_SHARES = (0, 1, 0.5, 0.25, 0.75, 2, 4)  # ticks, the first before the others


def step_times(view: View, styles: Styles) -> Figures:
    """Bars of the median step time with its interval: one chart per batch size."""
    found: Figures = []
    for preset in view.presets:
        for what in STEPS:
            for batch in view.batches(preset, what):
                rows = view.find(preset, what, batch)
                highs = [t.seconds.high for t in rows if t.seconds]
                if not highs:
                    continue
                size, unit = unit_of(max(highs))
                timed = {t.column: _step(t, styles, size) for t in rows}
                marks = [
                    mark
                    for c in view.columns
                    if (mark := timed.get(c) or _untimed(view, preset, c, styles))
                ]
                caption = f"{preset}, {what}, batch {batch}: {unit} per step"
                picture = bars(caption, [("", marks)], max(highs) / size, number)
                found.append((caption, picture))
    return found


def _step(t: Time, styles: Styles, size: float) -> Mark:
    style = styles[t.column]
    if t.seconds is None:
        return _absent(t, styles)
    value, low, high = (v / size for v in t.seconds)
    tip = (
        f"{style.title}, {t.what}, batch {t.batch}: {seconds(t.seconds.value)}\n"
        f"95 % interval {seconds(t.seconds.low)} to {seconds(t.seconds.high)},"
        f" {t.rounds} rounds"
    )
    return Mark(style, value, low, high, three(value), tip)


def _untimed(view: View, preset: str, column: Column, styles: Styles) -> Mark | None:
    """Return the row of a column none of whose cells could be timed."""
    style, words = styles[column], {"differs": "failed parity", "failed": "failed"}
    for cell in view.cells:
        if (cell["preset"], column_of(cell)) == (preset, column):
            if text := words.get(str(cell.get("status"))):
                tip = f"{style.title}: {cell.get('error')}"
                return Mark(style, None, None, None, f"not timed: {text}", tip)
    return None


def _absent(t: Time, styles: Styles) -> Mark:
    tip = f"{styles[t.column].title}: {t.error or 'not measured'}"
    return Mark(styles[t.column], None, None, None, f"failed: {t.error}", tip)


def ratios(view: View, styles: Styles) -> Figures:
    """Dots of the paired ratio against the baseline, on one axis for all charts."""
    every = [t.ratio for t in view.times if t.ratio and t.verdict != "baseline"]
    if not every:
        return []
    low = min(0.8, *(r.low for r in every)) / 1.04
    high = max(1.25, *(r.high for r in every)) * 1.04
    base = styles[view.baseline].title if view.baseline in styles else "the baseline"
    return [
        (f"{preset}, {what}: time over {base}'s, below 1× is faster", picture)
        for preset in view.presets
        for what in STEPS
        if (picture := _ratio(view, styles, preset, what, (low, high)))
    ]


def _ratio(
    view: View, styles: Styles, preset: str, what: str, ends: tuple[float, float]
) -> str:
    groups = []
    for batch in view.batches(preset, what):
        marks = []
        for t in view.find(preset, what, batch):
            if t.verdict == "baseline" or t.ratio is None:
                continue
            style = styles[t.column]
            tip = f"{style.title}, batch {batch}: {ratio(t.ratio)}\n{t.verdict}"
            hollow = t.verdict == "within noise"
            marks.append(Mark(style, *t.ratio, times(t.ratio.value), tip, hollow))
        if marks:
            groups.append((f"batch {batch}", marks))
    return forest(f"{preset}, {what}: ratio to the baseline", groups, ends)


def forest(title: str, groups: Sequence[Any], ends: tuple[float, float]) -> str:
    """Return dots of ratios with their intervals around the line at 1."""
    if not groups:
        return ""
    ticks = [1, 0.5, 2, 0.25, 4, 0.1, 10, 100, 0.01, 0.8, 1.25, 0.9, 1.1]
    x = Axis(*ends, 0, 1, log=True, tick=lambda v: f"{v:g}×", values=ticks)
    return dots(title, groups, x, 1.0)


def scaling(view: View, styles: Styles) -> Figures:
    """Lines of examples per second over the batch size, both in factors."""
    found: Figures = []
    for preset in view.presets:
        for what in STEPS:
            batches = view.batches(preset, what)
            rows = [t for t in view.find(preset, what) if t.seconds]
            if len(batches) < 2 or not rows:
                continue
            ends = [t.batch / s for t in rows for s in (t.seconds or ())]
            x = Axis(min(batches), max(batches), 0, 1, log=True, values=batches)
            y = Axis(min(ends) / 1.2, max(ends) * 1.2, 0, 1, log=True)
            title = f"{preset}, {what}: examples per second over the batch size"
            drawn = [_scaled(rows, c, styles) for c in view.columns]
            picture = lines(
                title,
                [line for line in drawn if line.points],
                x,
                y,
                ("batch size", "examples/s"),
            )
            found.append((title, picture))
    return found


def _scaled(rows: Sequence[Time], column: Column, styles: Styles) -> Line:
    mine = sorted((t for t in rows if t.column == column), key=lambda t: t.batch)
    points, tips = [], []
    for t in mine:
        assert t.seconds is not None
        value, low, high = (t.batch / s for s in t.seconds)
        points.append((t.batch, value, high, low))
        title = styles[column].title
        tips.append(f"{title}, batch {t.batch}: {number(value)} examples/s")
    return Line(styles[column], points, tips)


def shares(view: View, styles: Styles) -> Figures:
    """Bars of each step's share of the machine's own matrix-multiply peak."""
    every = [t.share for t in view.times if t.share is not None]
    top = max([1.0, *every])
    found: Figures = []
    for preset in view.presets:
        for what in STEPS:
            groups = []
            for batch in view.batches(preset, what):
                rows = view.find(preset, what, batch)
                marks = [_share(t, styles) for t in rows if t.share is not None]
                if marks:
                    groups.append((f"batch {batch}", marks))
            if groups:
                caption = f"{preset}, {what}: share of the matrix-multiply peak"
                found.append(
                    (
                        caption,
                        bars(caption, groups, top, percent, _SHARES),
                    )
                )
    return found


def _share(t: Time, styles: Styles) -> Mark:
    style = styles[t.column]
    rate = "" if t.gflops is None else f"\n{number(t.gflops)} GFLOP/s of useful work"
    tip = f"{style.title}, batch {t.batch}: {percent(t.share)} of the peak{rate}"
    text = f"{100 * (t.share or 0):.2g} %" if (t.share or 0) < 1 else percent(t.share)
    return Mark(style, t.share, None, None, text, tip)


def memory(view: View, styles: Styles) -> Figures:
    """Bars of the most memory that a cell's process ever held."""
    found: Figures = []
    for preset in view.presets:
        marks = []
        for column in view.columns:
            rows = [t for t in view.times if (t.preset, t.column) == (preset, column)]
            sizes = [t.peak_bytes for t in rows if t.peak_bytes]
            if sizes:
                style, value = styles[column], max(sizes)
                tip = f"{style.title}: {mebibytes(value)} at the most"
                text = number(value / 2**20)
                marks.append(Mark(style, value / 2**20, None, None, text, tip))
        if marks:
            caption = f"{preset}: peak memory of the whole process, MiB"
            top = max(m.value or 0.0 for m in marks)
            found.append((caption, bars(caption, [("", marks)], top, number)))
    return found
