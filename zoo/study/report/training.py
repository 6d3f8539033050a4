"""The figures of training runs: losses, gradients, scores over time and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

import numpy as np

from ..intervals import mean
from ..results import ResultRow
from .charts import Axis, Line, Mark, Style, bars, dots, lines, number
from .rows import Column, View, column_of, mapping, number_of, numbers
from .words import Styles, measure_of, score, seconds

Figures = list[tuple[str, str]]
_POINTS = 160  # of a loss curve
# cividis without its lightest part: networks are told apart by lightness
_SHADES = ("#00224e", "#575d6d", "#8a8678", "#b5a96b", "#35456c", "#707173", "#a59c74")


def _runs(view: View, preset: str) -> dict[Column, list[ResultRow]]:
    """Return a network's training runs by column; each seed has one."""
    found: dict[Column, list[ResultRow]] = {}
    for row in view.trainings:
        if row["preset"] == preset:
            found.setdefault(column_of(row), []).append(row)
    return {c: found[c] for c in view.columns if c in found}


def losses(view: View, styles: Styles) -> Figures:
    """Loss curves over each other, from wide to thin, so that equal ones all show."""
    found: Figures = []
    for preset in view.presets:
        runs = _runs(view, preset)
        curves = [
            (column, row, thin)
            for column, rows in runs.items()
            for row in rows
            if len(thin := _thinned(numbers(row.get("losses")))) > 1
        ]
        values = [v for *_, thin in curves for _, v in thin]
        if not values:
            continue
        order = list(runs)
        drawn = [
            Line(
                styles[column],
                [(step, value, None, None) for step, value in thin],
                (),
                f"{styles[column].title}, seed {row['seed']}:"
                f" loss {number(thin[-1][1])} at the end",
                1.4 + 7 * (1 - (order.index(column) + 1) / len(order)),
                0.9,
            )
            for column, row, thin in curves
        ]
        last = max(step for *_, thin in curves for step, _ in thin)
        spread = min(values) > 0 and max(values) / min(values) > 20
        y = Axis(min(values), max(values), 0, 1, log=spread)
        title = f"{preset}: loss of each training step"
        picture = lines(title, drawn, Axis(0, last, 0, 1), y, ("step", "loss"))
        found.append((title, picture))
    return found


def _thinned(values: Sequence[float], most: int = _POINTS) -> list[tuple[float, float]]:
    """Return (step, loss): of a long run, means of some steps each."""
    parts = np.array_split(np.asarray(values), min(len(values), most) or 1)
    ends = np.cumsum([len(p) for p in parts])
    return [(float(s), float(p.mean())) for s, p in zip(ends, parts) if len(p)]


def networks(view: View, styles: Styles) -> Figures:
    """All networks' losses in one picture, in the first column that trained them."""
    trained = {column_of(row) for row in view.trainings}
    column = next((c for c in view.columns if c in trained), None)
    drawn, key = [], []
    for i, preset in enumerate(view.presets):
        rows = _runs(view, preset).get(column, []) if column else []
        thin = _thinned(numbers(rows[0].get("losses")), 80) if rows else []
        if len(thin) < 2:
            continue
        style = Style(-1 - i, preset, _SHADES[i % len(_SHADES)], i)
        points = [(step, value, None, None) for step, value in thin]
        tip = f"{preset}: {number(thin[-1][1])} at the end"
        drawn.append(Line(style, points, (), tip))
        dash = f' stroke-dasharray="{style.dash}"' if style.dash else ""
        key.append(
            '<span><svg class="swatch" width="30" height="10" aria-hidden="true">'
            f'<path d="M0 5H30" stroke="{style.colour}" stroke-width="2"{dash}/></svg>'
            f" {escape(preset)}</span>"
        )
    if len(drawn) < 2 or column is None:
        return []
    values = [p[1] for line in drawn for p in line.points]
    last = max(p[0] for line in drawn for p in line.points)
    low, high = min(values), max(values)
    y = Axis(low, high, 0, 1, log=low > 0 and high > 20 * low)
    title = f"all networks in {styles[column].title}: loss over the steps"
    picture = lines(title, drawn, Axis(0, last, 0, 1), y, ("step", "loss"))
    return [(title, f'{picture}<p class="key">{"".join(key)}</p>')]


def gradients(view: View, styles: Styles) -> Figures:
    """Lines of the gradient's norm from layer to layer, before the first step."""
    found: Figures = []
    for preset in view.presets:
        runs = {c: rows[0] for c, rows in _runs(view, preset).items()}
        drawn, values = [], []
        first = next(iter(runs.values()), {})
        order = list(mapping(first.get("gradient_norms")))  # the same for all
        for i, (column, row) in enumerate(runs.items()):
            norms = mapping(row.get("gradient_norms"))
            kept = [
                (place, name, v)
                for place, name in enumerate(order, 1)
                if (v := number_of(norms, name)) and v > 0
            ]
            if len(kept) < 2:  # all but one are 0, or were not measured
                continue
            style = styles[column]
            points = [(float(place), v, None, None) for place, _, v in kept]
            tips = [f"{style.title}, {name}: {v:.2g}" for _, name, v in kept]
            width = 1.4 + 5 * (1 - (i + 1) / len(runs))
            drawn.append(Line(style, points, tips, "", width, 0.9))
            values += [v for *_, v in kept]
        if drawn:
            title = f"{preset}: norm of each matrix's gradient before training"
            y = Axis(min(values), max(values), 0, 1, log=max(values) > 5 * min(values))
            x = Axis(1.0, float(len(order)), 0, 1)
            names = ("layer, from the input", "norm of the gradient")
            found.append((title, lines(title, drawn, x, y, names)))
    return found


def progress(view: View, styles: Styles) -> Figures:
    """Lines of the evaluations over seconds spent in training steps."""
    found: Figures = []
    for preset in view.presets:
        drawn, rows = [], []
        for column, runs in _runs(view, preset).items():
            for row in runs:
                line = _progress(row, styles[column].title)
                if len(line[0]) > 0:
                    drawn.append(Line(styles[column], *line))
                    rows.append(row)
        if not drawn:
            continue
        points = [p for line in drawn for p in line.points]
        measure, target = measure_of(rows[0]), number_of(rows[0], "target")
        values = [p[1] for p in points] + ([] if target is None else [target])
        ends = max(p[0] for p in points)
        tick = partial(score, measure)
        room = (max(values) - min(values)) * 0.06
        y = Axis(min(values) - room, max(values) + room, 0, 1, tick=tick)
        rule = None if target is None else (target, f"target {score(measure, target)}")
        title = f"{preset}: {measure} over seconds of training"
        names = ("seconds in training steps", measure)
        found.append((title, lines(title, drawn, Axis(0, ends, 0, 1), y, names, rule)))
    return found


def _progress(row: ResultRow, title: str) -> tuple[list[Any], list[str]]:
    measure, points, tips = measure_of(row), [], []
    for told in row.get("evaluations") or []:
        at, value = number_of(told, "seconds"), number_of(told, measure)
        if at is not None and value is not None:
            points.append((at, value, None, None))
            words = f"{measure} {score(measure, value)} after {seconds(at)}"
            tips.append(f"{title}, seed {row['seed']}: {words}")
    return points, tips


def targets(view: View, styles: Styles) -> Figures:
    """Bars of the seconds until the target; of several seeds, the median and ends."""
    found: Figures = []
    for preset in view.presets:
        marks, asked = [], None
        for column, runs in _runs(view, preset).items():
            if all(number_of(r, "target") is None for r in runs):
                continue
            asked = next(r for r in runs if number_of(r, "target") is not None)
            style = styles[column]
            got = [t for r in runs if (t := number_of(r, "seconds_to_target"))]
            if not got:
                text = "did not reach the target"
                marks.append(
                    Mark(style, None, None, None, text, f"{style.title}: {text}")
                )
                continue
            value = float(np.median(got))
            ends = (min(got), max(got)) if len(got) > 1 else (None, None)
            tip = f"{style.title}: {len(got)} of {len(runs)} seeds reached the target\n"
            tip += ", ".join(map(seconds, got))
            marks.append(Mark(style, value, *ends, seconds(value), tip))
        tops = [m.high or m.value for m in marks if m.value is not None]
        if asked is not None and tops:
            goal = score(measure_of(asked), number_of(asked, "target"))
            caption = f"{preset}: seconds of training until {measure_of(asked)} {goal}"
            top = max(t for t in tops if t is not None)
            found.append((caption, bars(caption, [("", marks)], top, number)))
    return found


def scores(view: View, styles: Styles) -> Figures:
    """Dots of the final accuracy's mean over seeds with Student's interval."""
    found: Figures = []
    for preset in view.presets:
        marks, measure = [], "accuracy"
        for column, runs in _runs(view, preset).items():
            measure = measure_of(runs[0])
            got = [v for r in runs if (v := number_of(r, measure)) is not None]
            if len(got) < 2:
                continue
            whole, style = mean(got), styles[column]
            ends = f"{score(measure, whole.low)} to {score(measure, whole.high)}"
            told = score(measure, whole.value)
            tip = f"{style.title}: {told} ({ends}), {len(got)} seeds"
            marks.append(Mark(style, *whole, told, tip))
        if marks:
            tick = partial(score, measure)
            low, high = min(m.low or 0 for m in marks), max(m.high or 0 for m in marks)
            room = (high - low) * 0.05
            x = Axis(low - room, high + room, 0, 1, tick=tick)
            caption = f"{preset}: {measure} at the end, mean over seeds"
            found.append((caption, dots(caption, [("", marks)], x)))
    return found
