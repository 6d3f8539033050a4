"""What a report shows, taken from the rows: columns, cells, times over all seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...registry import COLOURS
from ..intervals import Estimate, median, paired_ratio, verdict
from ..modes import title
from ..results import ResultRow, Study
from .marks import Style

Column = tuple[str, str]  # backend and mode
Styles = Mapping[Column, Style]


class Time(NamedTuple):
    """One step time: of one seed's rounds, or of all seeds' together."""

    preset: str
    column: Column
    step: str  # inference or training
    batch: int
    seconds: Estimate | None  # None: failed
    ratio: Estimate | None  # over the baseline's time
    verdict: str
    gflops: float | None
    share: float | None
    peak_bytes: float | None
    rounds: int
    samples: tuple[float, ...]
    error: str


@dataclass
class View:
    """One study on one machine.

    Of several rows of the same measurement, as in a study that was run again, only the
    last counts.
    """

    label: str
    info: ResultRow
    cells: list[ResultRow] = field(default_factory=list)
    timings: list[ResultRow] = field(default_factory=list)
    trainings: list[ResultRow] = field(default_factory=list)
    times: list[Time] = field(default_factory=list)

    @property
    def plan(self) -> ResultRow:
        """The plan as study.json has it; {} of a bare file of results."""
        return mapping(self.info.get("plan"))

    @property
    def presets(self) -> list[str]:
        """Names of the networks, in the study's order."""
        rows = [*self.cells, *self.timings, *self.trainings]
        return list(dict.fromkeys(r["preset"] for r in rows))

    @property
    def columns(self) -> list[Column]:
        """Frameworks and modes, in the study's order."""
        rows = [*self.cells, *self.timings, *self.trainings]
        return list(dict.fromkeys(column_of(r) for r in rows))

    @property
    def baseline(self) -> Column | None:
        """The column that the ratios compare with."""
        for row in self.timings:
            base = row.get("baseline")
            if isinstance(base, dict):
                return str(base.get("backend")), str(base.get("mode"))
        return None

    def batches(self, preset: str, step: str) -> list[int]:
        """Return the batch sizes that were tried, in ascending order."""
        return sorted({t.batch for t in self.find(preset, step)})

    def find(self, preset: str, step: str, batch: int | None = None) -> list[Time]:
        """Return times of a network, in the columns' order."""
        rows = [
            t
            for t in self.times
            if (t.preset, t.step) == (preset, step) and batch in (None, t.batch)
        ]
        return sorted(rows, key=lambda t: self.columns.index(t.column))

    def runs(self, preset: str, column: Column) -> list[ResultRow]:
        """Return a network's training runs in one column; each seed has one."""
        wanted = preset, column
        return [r for r in self.trainings if (r["preset"], column_of(r)) == wanted]


def views_of(studies: Iterable[Study]) -> list[View]:
    """Return what to show: each study, split where its rows come from two machines."""
    views = []
    for study in studies:
        machines = list(dict.fromkeys(str(r.get("machine", "")) for r in study.rows))
        for machine in machines:
            rows = [r for r in study.rows if str(r.get("machine", "")) == machine]
            label = study.label
            if len(machines) > 1:
                label += f", machine {machine}"
            views.append(_view(label, study.info, rows))
    labels = [v.label for v in views]
    for i, view in enumerate(views):  # two studies of one name
        if labels.count(view.label) > 1:
            view.label = f"{labels[i]} ({labels[: i + 1].count(labels[i])})"
    return views


def _view(label: str, info: ResultRow, rows: Iterable[ResultRow]) -> View:
    view = View(label, mapping(info))
    kinds = {"cell": view.cells, "timing": view.timings, "training": view.trainings}
    last: dict[tuple[Any, ...], ResultRow] = {}
    names = ("row", "preset", "backend", "mode", "seed", "batch_size", "what")
    for row in rows:
        last[tuple(row.get(name) for name in names)] = row
    for row in last.values():
        if row.get("row") in kinds:
            kinds[row["row"]].append(row)
    grouped: dict[tuple[Any, ...], list[ResultRow]] = {}
    for row in view.timings:
        key = (row["preset"], *column_of(row), row.get("what"), row.get("batch_size"))
        grouped.setdefault(key, []).append(row)
    view.times = [_time(group) for group in grouped.values()]
    return view


def _time(rows: Sequence[ResultRow]) -> Time:
    """Put the rounds of all seeds together."""
    row = rows[0]
    good = [r for r in rows if number_of(r, "median_s") is not None]
    samples = tuple(v for r in good for v in numbers(r.get("seconds")))
    seconds = ratio = None
    if len(good) == 1:
        seconds = _estimate(good[0], "median_s", "low_s", "high_s")
        ratio = _estimate(good[0], "ratio", "ratio_low", "ratio_high")
    elif good:
        seconds = median(samples)
        bases = [v for r in good for v in numbers(r.get("baseline_seconds"))]
        if len(bases) == len(samples):
            ratio = paired_ratio(samples, bases)
    word = "" if ratio is None else verdict(ratio)
    if any(r.get("verdict") == "baseline" for r in good):
        word = "baseline"
    return Time(
        str(row["preset"]),
        column_of(row),
        str(row.get("what")),
        int(row.get("batch_size") or 0),
        seconds,
        ratio,
        word,
        middle(good, "gflops"),
        middle(good, "share"),
        max((p for r in good if (p := number_of(r, "peak_bytes"))), default=None),
        len(samples),
        samples,
        next((str(r["error"]) for r in rows if r.get("error")), ""),
    )


def _estimate(row: ResultRow, *names: str) -> Estimate | None:
    values = [v for name in names if (v := number_of(row, name)) is not None]
    return Estimate(*values) if len(values) == len(names) else None


def middle(rows: Iterable[ResultRow], name: str) -> float | None:
    """Return the median of a field over the rows that have it."""
    values = [v for row in rows if (v := number_of(row, name)) is not None]
    return statistics.median(values) if values else None


def column_of(row: ResultRow) -> Column:
    """Return backend and mode of a row."""
    return str(row["backend"]), str(row["mode"])


def mapping(value: Any) -> ResultRow:
    """Return a value that should be an object; anything else counts as empty."""
    return value if isinstance(value, dict) else {}


def number_of(row: ResultRow, name: str) -> float | None:
    """Return a finite number, or None for anything else."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def numbers(values: Any) -> list[float]:
    """Return a list's finite numbers."""
    rows = [{"v": v} for v in values] if isinstance(values, list) else []
    return [v for row in rows if (v := number_of(row, "v")) is not None]


def styles_of(views: Sequence[View]) -> dict[Column, Style]:
    """Return how each column looks: colour by framework, pattern by mode."""
    columns = list(dict.fromkeys(c for view in views for c in view.columns))
    order = {backend: i for i, backend in enumerate(COLOURS)}
    columns.sort(key=lambda c: order.get(c[0], len(order)))
    styles: dict[Column, Style] = {}
    for key, (backend, mode) in enumerate(columns):
        rank = sum(other[0] == backend for other in styles)
        colour = COLOURS.get(backend, "#4d4d4d")
        styles[backend, mode] = Style(key, title(backend, mode), colour, rank)
    return styles
