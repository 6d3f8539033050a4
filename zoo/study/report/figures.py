"""The report's charts of speed and memory, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from ..results import STEPS
from .axes import Axis
from .charts import bars, dots, lines
from .marks import Group, Line, Mark
from .parts import Figure
from .rows import Column, Styles, Time, View, column_of
from .words import mebibytes, number, percent, ratio, seconds, three, times, unit_of

Figures = list[Figure]
_SHARES = (0, 1, 0.5, 0.25, 0.75, 2, 4)  # ticks, the most important first
_RATIOS = (1, 0.5, 2, 0.25, 4, 0.1, 10, 100, 0.01, 0.8, 1.25, 0.9, 1.1)


def step_times(view: View, styles: Styles) -> Figures:
    """Bars of the median step time with its interval: one chart per batch size."""
    figures: Figures = []
    for preset, step in product(view.presets, STEPS):
        for batch in view.batches(preset, step):
            rows = view.find(preset, step, batch)
            highs = [t.seconds.high for t in rows if t.seconds]
            if not highs:
                continue
            size, unit = unit_of(max(highs))
            timed = {t.column: _time(t, styles, size) for t in rows}
            marks = [
                mark
                for c in view.columns
                if (mark := timed.get(c) or _untimed(view, preset, c, styles))
            ]
            caption = f"{preset}, {step}, batch {batch}: {unit} per step"
            picture = bars(caption, [("", marks)], max(highs) / size, number)
            figures.append(Figure(caption, picture))
    return figures


def _time(t: Time, styles: Styles, size: float) -> Mark:
    style = styles[t.column]
    if t.seconds is None:
        tip = f"{style.title}: {t.error or 'not measured'}"
        return Mark(style, None, None, None, f"failed: {t.error}", tip)
    value, low, high = (v / size for v in t.seconds)
    tip = (
        f"{style.title}, {t.step}, batch {t.batch}: {seconds(t.seconds.value)}\n"
        f"95 % interval {seconds(t.seconds.low)} to {seconds(t.seconds.high)},"
        f" {t.rounds} rounds"
    )
    return Mark(style, value, low, high, three(value), tip)


def _untimed(view: View, preset: str, column: Column, styles: Styles) -> Mark | None:
    """Return the row of a column none of whose cells could be timed."""
    style, reasons = styles[column], {"differs": "failed parity", "failed": "failed"}
    for cell in view.cells:
        if (cell["preset"], column_of(cell)) == (preset, column):
            if reason := reasons.get(str(cell.get("status"))):
                tip = f"{style.title}: {cell.get('error')}"
                return Mark(style, None, None, None, f"not timed: {reason}", tip)
    return None


def ratios(view: View, styles: Styles) -> Figures:
    """Dots of the paired ratio to the baseline, on one axis for all charts."""
    every = [t.ratio for t in view.times if t.ratio and t.verdict != "baseline"]
    if not every:
        return []
    low = min(0.8, *(r.low for r in every)) / 1.04
    high = max(1.25, *(r.high for r in every)) * 1.04
    base = styles[view.baseline].title if view.baseline in styles else "the baseline"
    figures: Figures = []
    for preset, step in product(view.presets, STEPS):
        if groups := _ratios(view, styles, preset, step):
            caption = f"{preset}, {step}: time over {base}'s, below 1× is faster"
            title = f"{preset}, {step}: ratio to the baseline"
            figures.append(forest(caption, groups, (low, high), title))
    return figures


def _ratios(view: View, styles: Styles, preset: str, step: str) -> list[Group]:
    groups: list[Group] = []
    for batch in view.batches(preset, step):
        marks = []
        for t in view.find(preset, step, batch):
            if t.verdict == "baseline" or t.ratio is None:
                continue
            style = styles[t.column]
            tip = f"{style.title}, batch {batch}: {ratio(t.ratio)}\n{t.verdict}"
            hollow = t.verdict == "within noise"
            marks.append(Mark(style, *t.ratio, times(t.ratio.value), tip, hollow))
        if marks:
            groups.append((f"batch {batch}", marks))
    return groups


def forest(
    caption: str, groups: Sequence[Group], ends: tuple[float, float], title: str = ""
) -> Figure:
    """Return dots of ratios with their intervals around the line at 1."""
    x = Axis(*ends, 0, 1, log=True, tick=lambda v: f"{v:g}×", values=_RATIOS)
    return Figure(caption, dots(title or caption, groups, x, 1.0))


def scaling(view: View, styles: Styles) -> Figures:
    """Lines of examples per second over the batch size, both on log axes."""
    figures: Figures = []
    for preset, step in product(view.presets, STEPS):
        batches = view.batches(preset, step)
        rows = [t for t in view.find(preset, step) if t.seconds]
        if len(batches) < 2 or not rows:
            continue
        rates = [t.batch / s for t in rows for s in (t.seconds or ())]
        x = Axis(min(batches), max(batches), 0, 1, log=True, values=batches)
        y = Axis(min(rates) / 1.2, max(rates) * 1.2, 0, 1, log=True)
        drawn = [_rates(rows, column, styles) for column in view.columns]
        drawn = [line for line in drawn if line.points]
        title = f"{preset}, {step}: examples per second over the batch size"
        picture = lines(title, drawn, x, y, ("batch size", "examples/s"))
        figures.append(Figure(title, picture))
    return figures


def _rates(rows: Sequence[Time], column: Column, styles: Styles) -> Line:
    own = sorted((t for t in rows if t.column == column), key=lambda t: t.batch)
    points, tips = [], []
    for t in own:
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
    figures: Figures = []
    for preset, step in product(view.presets, STEPS):
        groups = []
        for batch in view.batches(preset, step):
            rows = view.find(preset, step, batch)
            marks = [_share(t, styles) for t in rows if t.share is not None]
            if marks:
                groups.append((f"batch {batch}", marks))
        if groups:
            caption = f"{preset}, {step}: share of the matrix-multiply peak"
            picture = bars(caption, groups, top, percent, _SHARES)
            figures.append(Figure(caption, picture))
    return figures


def _share(t: Time, styles: Styles) -> Mark:
    style = styles[t.column]
    rate = "" if t.gflops is None else f"\n{number(t.gflops)} GFLOP/s of useful work"
    tip = f"{style.title}, batch {t.batch}: {percent(t.share)} of the peak{rate}"
    text = f"{100 * (t.share or 0):.2g} %" if (t.share or 0) < 1 else percent(t.share)
    return Mark(style, t.share, None, None, text, tip)


def memory(view: View, styles: Styles) -> Figures:
    """Bars of the peak memory of a cell's process."""
    figures: Figures = []
    for preset in view.presets:
        marks = []
        for column in view.columns:
            rows = [t for t in view.times if (t.preset, t.column) == (preset, column)]
            sizes = [t.peak_bytes for t in rows if t.peak_bytes]
            if sizes:
                style, value = styles[column], max(sizes)
                tip = f"{style.title}: {mebibytes(value)} at most"
                text = number(value / 2**20)
                marks.append(Mark(style, value / 2**20, None, None, text, tip))
        if marks:
            caption = f"{preset}: peak memory of the whole process, MiB"
            top = max(m.value or 0.0 for m in marks)
            figures.append(Figure(caption, bars(caption, [("", marks)], top, number)))
    return figures
