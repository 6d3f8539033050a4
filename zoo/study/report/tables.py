"""The report's tables: first steps, training, environment, all numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..intervals import mean
from ..results import STEPS, ResultRow
from .parts import Cell, Table, key, tables
from .rows import Column, Styles, View, column_of, mapping, middle, number_of
from .words import measure_of, mebibytes, moment, number, percent, score, seconds, times

Place = tuple[str, Column]  # preset and column


def _grouped(rows: Iterable[ResultRow]) -> dict[Place, list[ResultRow]]:
    """Return rows by network and column; each group holds all seeds."""
    groups: dict[Place, list[ResultRow]] = {}
    for row in rows:
        groups.setdefault((str(row["preset"]), column_of(row)), []).append(row)
    return groups


def first_steps(view: View, styles: Styles) -> list[Table]:
    """Return times before the first steady step; medians over the seeds."""
    started = [c for c in view.cells if number_of(c, "import_s") is not None]
    rows = [
        [
            preset,
            key(styles[column]),
            seconds(middle(cells, "import_s")),
            seconds(middle(cells, "build_s")),
            *(_first(view, preset, column, step) for step in STEPS),
            _count(cells[0], "parameters"),
            mebibytes(number_of(cells[0], "file_bytes")),
        ]
        for (preset, column), cells in _grouped(started).items()
    ]
    head = (
        "network", "framework", "import", "build", "first inference",
        "first training step", "parameters", "file",
    )  # fmt: skip
    return tables("numbers", head, rows)


def _count(row: ResultRow, name: str) -> str:
    value = number_of(row, name)
    return "–" if value is None else f"{value:,.0f}"


def _first(view: View, preset: str, column: Column, step: str) -> str | Cell:
    """Return the seconds of the very first calls, and their batch size."""
    wanted = preset, column, step
    rows = [
        r for r in view.timings if (r["preset"], column_of(r), r.get("what")) == wanted
    ]
    batch = rows[0].get("batch_size") if rows else None
    value = middle([r for r in rows if r.get("batch_size") == batch], "first_s")
    return "–" if value is None else Cell(seconds(value), small=f"batch {batch}")


def training(view: View, styles: Styles) -> list[Table]:
    """Return the results of the training runs, seeds together."""
    rows = []
    for (preset, column), runs in _grouped(view.trainings).items():
        spent = [v for r in runs if (v := number_of(r, "seconds")) is not None]
        reached = [v for r in runs if (v := number_of(r, "seconds_to_target"))]
        asked = any(number_of(r, "target") is not None for r in runs)
        rows.append(
            [
                preset,
                key(styles[column]),
                str(len(runs)),
                _score(runs),
                seconds(mean(spent).value) if spent else "–",
                ", ".join(map(seconds, reached)) or ("not reached" if asked else "–"),
            ]
        )
    head = ("network", "framework", "seeds", "at the end", "in steps", "to the target")
    return tables("numbers", head, rows)


def _score(runs: Sequence[ResultRow]) -> str | Cell:
    """Return the mean of the last score; of several seeds with its interval."""
    measure = measure_of(runs[0])
    values = [v for r in runs if (v := number_of(r, measure)) is not None]
    if not values:
        return f"{measure} –"
    value, low, high = (score(measure, v) for v in mean(values))
    interval = f"({low} to {high})" if len(values) > 1 else ""
    return Cell(f"{measure} {value}", small=interval)


def environment(view: View, styles: Styles) -> list[Table]:
    """Return machine, versions and sessions, and the columns' settings."""
    facts: dict[str, list[str]] = {}

    def note(name: str, value: Any) -> None:
        if value not in (None, "", {}, []):
            values = facts.setdefault(name, [])
            if (words := _words(value)) not in values:
                values.append(words)

    for cell in view.cells:
        for name, value in mapping(cell.get("host")).items():
            note(name.replace("_gb", ", GiB"), value)
        note("threads per cell", cell.get("threads"))
    zoo = mapping(view.info.get("zoo"))
    note("zoo", zoo.get("version"))
    note("zoo's source", zoo.get("source"))
    for row in [view.info, *view.cells]:
        for name, value in mapping(row.get("versions")).items():
            note(name, value)
    for name in ("rounds", "seeds"):
        note(name, view.plan.get(name))
    for session in map(mapping, view.info.get("sessions") or []):
        load = number_of(session, "load")
        busy = "" if load is None else f", load {number(load)} when it started"
        note("sessions", f"{moment(session.get('started')) or '?'}{busy}")
    rows = [[Cell(k, strong=True), "; ".join(v)] for k, v in facts.items()]
    head = ("machine and versions", "")
    return tables("facts", head, rows) + _settings(view, styles)


def _words(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return str(value)


def _settings(view: View, styles: Styles) -> list[Table]:
    """Return the settings of the columns side by side."""
    columns: dict[Column, ResultRow] = {}
    for cell in view.cells:
        settings = dict(mapping(cell.get("settings")))
        peak = number_of(cell, "matmul_gflops")
        if peak is not None:
            settings["matrix-multiply peak"] = f"{number(peak)} GFLOP/s"
        if settings:
            columns.setdefault(column_of(cell), settings)
    names = dict.fromkeys(n for settings in columns.values() for n in settings)
    rows = [
        [
            Cell(str(name), strong=True),
            *(_words(settings.get(name, "–")) for settings in columns.values()),
        ]
        for name in names
        if name not in ("framework", "mode")  # they are in the table's head
    ]
    return tables("facts", ("settings", *(styles[c].title for c in columns)), rows)


def everything(view: View, styles: Styles) -> list[Table]:
    """Return every timing, row by row."""
    rows = []
    for row in view.timings:
        common = [
            str(row["preset"]),
            key(styles[column_of(row)]),
            str(row["seed"]),
            str(row.get("what")),
            str(row.get("batch_size")),
        ]
        if number_of(row, "median_s") is None:
            rows.append([*common, Cell(str(row.get("error")), span=9)])
            continue
        rounds = row.get("seconds")
        rows.append(
            [
                *common,
                seconds(number_of(row, "median_s")),
                " to ".join(seconds(number_of(row, n)) for n in ("low_s", "high_s")),
                f"{len(rounds) if isinstance(rounds, list) else '–'}",
                _plain(row, "examples_per_s"),
                _plain(row, "gflops"),
                percent(number_of(row, "share")),
                mebibytes(number_of(row, "peak_bytes")),
                _ratio(row),
                str(row.get("verdict") or "–"),
            ]
        )
    head = (
        "network", "framework", "seed", "step", "batch", "median", "95 % interval",
        "rounds", "examples/s", "GFLOP/s", "of peak", "peak memory", "over baseline",
        "verdict",
    )  # fmt: skip
    return tables("numbers", head, rows)


def _ratio(row: ResultRow) -> Cell:
    ratio = number_of(row, "ratio")
    low, high = number_of(row, "ratio_low"), number_of(row, "ratio_high")
    interval = ""
    if low is not None and high is not None:
        interval = f"({times(low)} to {times(high)})"
    return Cell("–" if ratio is None else times(ratio), small=interval)


def _plain(row: ResultRow, name: str) -> str:
    value = number_of(row, name)
    return "–" if value is None else number(value)
