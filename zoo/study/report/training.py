"""The figures of training runs: losses, gradients, scores over time and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..intervals import mean
from ..results import ResultRow
from .axes import Axis
from .charts import bars, dots, lines
from .marks import Line, Mark, Style, line_swatch
from .parts import Figure
from .rows import Column, Styles, View, column_of, mapping, number_of, numbers
from .words import measure_of, number, score, seconds

Figures = list[Figure]
_POINTS = 160  # of a loss curve
# cividis without its lightest part: networks are told apart by lightness
_SHADES = ("#00224e", "#575d6d", "#8a8678", "#b5a96b", "#35456c", "#707173", "#a59c74")


def _runs(view: View, preset: str) -> dict[Column, list[ResultRow]]:
    """Return a network's training runs by column."""
    return {c: runs for c in view.columns if (runs := view.runs(preset, c))}


def losses(view: View, styles: Styles) -> Figures:
    """Loss curves over each other, from wide to thin, so that equal ones all show."""
    figures: Figures = []
    for preset in view.presets:
        runs = _runs(view, preset)
        curves = [
            (column, row, curve)
            for column, rows in runs.items()
            for row in rows
            if len(curve := _averaged(numbers(row.get("losses")))) > 1
        ]
        if not curves:
            continue
        order = list(runs)
        drawn = [
            Line(
                styles[column],
                [(step, value, None, None) for step, value in curve],
                (),
                f"{styles[column].title}, seed {row['seed']}:"
                f" loss {number(curve[-1][1])} at the end",
                1.4 + 7 * (1 - (order.index(column) + 1) / len(order)),
                0.9,
            )
            for column, row, curve in curves
        ]
        title = f"{preset}: loss of each training step"
        figures.append(_loss_chart(title, drawn))
    return figures


def _loss_chart(
    title: str, drawn: Sequence[Line], key: Sequence[tuple[Any, str]] = ()
) -> Figure:
    """Return curves over the steps, on a log axis where they span a factor of 20."""
    last = max(point[0] for line in drawn for point in line.points)
    values = [point[1] for line in drawn for point in line.points]
    low, high = min(values), max(values)
    y = Axis(low, high, 0, 1, log=low > 0 and high > 20 * low)
    picture = lines(title, drawn, Axis(0, last, 0, 1), y, ("step", "loss"))
    return Figure(title, picture, key)


def _averaged(
    values: Sequence[float], most: int = _POINTS
) -> list[tuple[float, float]]:
    """Return (step, loss): of a long run, means of some steps each."""
    parts = np.array_split(np.asarray(values), min(len(values), most) or 1)
    ends = np.cumsum([len(p) for p in parts])
    return [(float(s), float(p.mean())) for s, p in zip(ends, parts) if len(p)]


def networks(view: View, styles: Styles) -> Figures:
    """All networks' losses in one picture, in the first column that trained them."""
    trained = {column_of(row) for row in view.trainings}
    column = next((c for c in view.columns if c in trained), None)
    if column is None:
        return []
    drawn, key = [], []
    for i, preset in enumerate(view.presets):
        runs = view.runs(preset, column)
        curve = _averaged(numbers(runs[0].get("losses")), 80) if runs else []
        if len(curve) < 2:
            continue
        style = Style(-1 - i, preset, _SHADES[i % len(_SHADES)], i)
        points = [(step, value, None, None) for step, value in curve]
        tip = f"{preset}: {number(curve[-1][1])} at the end"
        drawn.append(Line(style, points, (), tip))
        key.append((line_swatch(style), preset))
    if len(drawn) < 2:
        return []
    title = f"all networks in {styles[column].title}: loss over the steps"
    return [_loss_chart(title, drawn, key)]


def gradients(view: View, styles: Styles) -> Figures:
    """Lines of the gradient's norm from layer to layer, before the first step."""
    figures: Figures = []
    for preset in view.presets:
        runs = {c: rows[0] for c, rows in _runs(view, preset).items()}
        first = next(iter(runs.values()), {})
        layers = list(mapping(first.get("gradient_norms")))  # the same for all
        drawn = []
        for i, (column, row) in enumerate(runs.items()):
            width = 1.4 + 5 * (1 - (i + 1) / len(runs))
            line = _norms(row, layers, styles[column], width)
            if len(line.points) > 1:  # else all but one are 0, or were not measured
                drawn.append(line)
        if drawn:
            title = f"{preset}: norm of each matrix's gradient before training"
            values = [point[1] for line in drawn for point in line.points]
            y = Axis(min(values), max(values), 0, 1, log=max(values) > 5 * min(values))
            x = Axis(1.0, float(len(layers)), 0, 1)
            names = ("layer, from the input", "norm of the gradient")
            figures.append(Figure(title, lines(title, drawn, x, y, names)))
    return figures


def _norms(row: ResultRow, layers: Sequence[str], style: Style, width: float) -> Line:
    """Return a run's norms over the layers; those that are 0 are left out."""
    norms = mapping(row.get("gradient_norms"))
    points, tips = [], []
    for place, layer in enumerate(layers, 1):
        norm = number_of(norms, layer)
        if norm and norm > 0:
            points.append((float(place), norm, None, None))
            tips.append(f"{style.title}, {layer}: {norm:.2g}")
    return Line(style, points, tips, "", width, 0.9)


def progress(view: View, styles: Styles) -> Figures:
    """Lines of the evaluations over seconds spent in training steps."""
    figures: Figures = []
    for preset in view.presets:
        drawn, rows = [], []
        for column, runs in _runs(view, preset).items():
            for row in runs:
                line = _evaluations(row, styles[column])
                if line.points:
                    drawn.append(line)
                    rows.append(row)
        if not drawn:
            continue
        points = [p for line in drawn for p in line.points]
        measure, target = measure_of(rows[0]), number_of(rows[0], "target")
        values = [p[1] for p in points] + ([] if target is None else [target])
        last = max(p[0] for p in points)
        margin = (max(values) - min(values)) * 0.06
        low, high = min(values) - margin, max(values) + margin
        y = Axis(low, high, 0, 1, tick=partial(score, measure))
        rule = None if target is None else (target, f"target {score(measure, target)}")
        title = f"{preset}: {measure} over seconds of training"
        names = ("seconds in training steps", measure)
        picture = lines(title, drawn, Axis(0, last, 0, 1), y, names, rule)
        figures.append(Figure(title, picture))
    return figures


def _evaluations(row: ResultRow, style: Style) -> Line:
    measure, points, tips = measure_of(row), [], []
    for evaluation in row.get("evaluations") or []:
        time = number_of(evaluation, "seconds")
        value = number_of(evaluation, measure)
        if time is not None and value is not None:
            points.append((time, value, None, None))
            result = f"{measure} {score(measure, value)} after {seconds(time)}"
            tips.append(f"{style.title}, seed {row['seed']}: {result}")
    return Line(style, points, tips)


def targets(view: View, styles: Styles) -> Figures:
    """Bars of the seconds until the target; of several seeds, the median and ends."""
    figures: Figures = []
    for preset in view.presets:
        marks, asked = [], None
        for column, runs in _runs(view, preset).items():
            targeted = [r for r in runs if number_of(r, "target") is not None]
            if targeted:
                asked = targeted[0]
                marks.append(_target(runs, styles[column]))
        tops = [m.high or m.value for m in marks if m.value is not None]
        if asked is not None and tops:
            goal = score(measure_of(asked), number_of(asked, "target"))
            caption = f"{preset}: seconds of training until {measure_of(asked)} {goal}"
            top = max(t for t in tops if t is not None)
            figures.append(Figure(caption, bars(caption, [("", marks)], top, number)))
    return figures


def _target(runs: Sequence[ResultRow], style: Style) -> Mark:
    times = [t for r in runs if (t := number_of(r, "seconds_to_target"))]
    if not times:
        text = "did not reach the target"
        return Mark(style, None, None, None, text, f"{style.title}: {text}")
    value = float(np.median(times))
    ends = (min(times), max(times)) if len(times) > 1 else (None, None)
    tip = f"{style.title}: {len(times)} of {len(runs)} seeds reached the target\n"
    return Mark(
        style, value, *ends, seconds(value), tip + ", ".join(map(seconds, times))
    )


def scores(view: View, styles: Styles) -> Figures:
    """Dots of the final score's mean over seeds with Student's interval."""
    figures: Figures = []
    for preset in view.presets:
        marks, measure = [], "accuracy"
        for column, runs in _runs(view, preset).items():
            measure = measure_of(runs[0])
            values = [v for r in runs if (v := number_of(r, measure)) is not None]
            if len(values) < 2:
                continue
            estimate, style = mean(values), styles[column]
            value, low, high = (score(measure, v) for v in estimate)
            tip = f"{style.title}: {value} ({low} to {high}), {len(values)} seeds"
            marks.append(Mark(style, *estimate, value, tip))
        if marks:
            low, high = min(m.low or 0 for m in marks), max(m.high or 0 for m in marks)
            margin = (high - low) * 0.05
            tick = partial(score, measure)
            x = Axis(low - margin, high + margin, 0, 1, tick=tick)
            caption = f"{preset}: {measure} at the end, mean over seeds"
            figures.append(Figure(caption, dots(caption, [("", marks)], x)))
    return figures
