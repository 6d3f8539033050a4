"""The report's tables: first steps, training, parity, environment, all numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape as e
from statistics import median
from typing import Any

from ..intervals import mean
from ..results import STEPS, ResultRow
from .charts import number
from .rows import Column, View, column_of, mapping, number_of
from .words import Styles, measure_of, mebibytes, moment, percent, score, seconds, times

# Cividis (Nuñez, Anderton and Renslow 2018): even in lightness, and the same to
# colour-blind eyes.
CIVIDIS = (
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173",
    "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838",
)  # fmt: skip
_SPAN = 6.0  # orders of magnitude below the tolerance that the colours tell apart


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return a table in a box that scrolls by itself; cells are HTML already."""
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    top = "".join(f'<th scope="col">{e(h)}</th>' for h in head)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{e(head[0])} table">'
        f'<table class="{kind}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(words: str) -> str:
    return words if words.startswith("<td") else f"<td>{words}</td>"


def key(styles: Styles, column: Column) -> str:
    """Return a column's name with a dot of its colour."""
    style = styles[column]
    return f'<i class="dot" style="background:{style.colour}"></i>{e(style.title)}'


def first_steps(view: View, styles: Styles) -> str:
    """Return what happens before the first steady step; medians over the seeds."""
    grouped: dict[tuple[str, Column], list[ResultRow]] = {}
    for cell in view.cells:
        if number_of(cell, "import_s") is not None:
            grouped.setdefault((str(cell["preset"]), column_of(cell)), []).append(cell)
    rows = [
        [
            e(preset),
            key(styles, column),
            seconds(_median(cells, "import_s")),
            seconds(_median(cells, "build_s")),
            *(_first(view, preset, column, what) for what in STEPS),
            _count(cells[0], "parameters"),
            mebibytes(number_of(cells[0], "file_bytes")),
        ]
        for (preset, column), cells in grouped.items()
    ]
    head = (
        "network", "framework", "import", "build", "first inference",
        "first training step", "parameters", "file",
    )  # fmt: skip
    return table(head, rows, "numbers") if rows else ""


def _median(rows: Iterable[ResultRow], name: str) -> float | None:
    found = [v for row in rows if (v := number_of(row, name)) is not None]
    return median(found) if found else None


def _count(row: ResultRow, name: str) -> str:
    value = number_of(row, name)
    return "–" if value is None else f"{value:,.0f}"


def _first(view: View, preset: str, column: Column, what: str) -> str:
    """Return the seconds of the very first calls, and their batch size."""
    mine = [
        r
        for r in view.timings
        if (r["preset"], column_of(r), r.get("what")) == (preset, column, what)
    ]
    batch = mine[0].get("batch_size") if mine else None
    value = _median([r for r in mine if r.get("batch_size") == batch], "first_s")
    return "–" if value is None else f"{seconds(value)} <small>batch {batch}</small>"


def training(view: View, styles: Styles) -> str:
    """Return what the training runs came to, seeds together."""
    grouped: dict[tuple[str, Column], list[ResultRow]] = {}
    for row in view.trainings:
        grouped.setdefault((str(row["preset"]), column_of(row)), []).append(row)
    rows = []
    for (preset, column), runs in grouped.items():
        measure = measure_of(runs[0])
        got = [v for r in runs if (v := number_of(r, measure)) is not None]
        told = "–"
        if got:
            whole = mean(got)
            told = score(measure, whole.value)
            if len(got) > 1:
                ends = [score(measure, v) for v in (whole.low, whole.high)]
                told += f" <small>({' to '.join(ends)})</small>"
        spent = [v for r in runs if (v := number_of(r, "seconds")) is not None]
        reached = [v for r in runs if (v := number_of(r, "seconds_to_target"))]
        asked = any(number_of(r, "target") is not None for r in runs)
        until = ", ".join(map(seconds, reached)) or ("not reached" if asked else "–")
        rows.append(
            [
                e(preset),
                key(styles, column),
                str(len(runs)),
                f"{e(measure)} {told}",
                seconds(mean(spent).value) if spent else "–",
                until,
            ]
        )
    head = ("network", "framework", "seeds", "at the end", "in steps", "to the target")
    return table(head, rows, "numbers") if rows else ""


# Parity.


def parity(view: View, styles: Styles) -> str:
    """Return the heat map: cells down, rungs across, the worst of all seeds."""
    shown: dict[tuple[str, Column], dict[tuple[str, str], ResultRow]] = {}
    for cell in view.cells:
        for rung in mapping(cell.get("parity")).get("rungs") or []:
            place = shown.setdefault((str(cell["preset"]), column_of(cell)), {})
            name = str(rung.get("name")), str(rung.get("dtype"))
            if name not in place or _badness(rung) > _badness(place[name]):
                place[name] = rung
    rungs = dict.fromkeys(name for found in shown.values() for name in found)
    order = sorted(rungs, key=lambda rung: rung[1] != "float64")
    rows = [
        [e(preset), key(styles, column), *(_box(found.get(rung)) for rung in order)]
        for (preset, column), found in shown.items()
    ]
    head = ("network", "framework", *(f"{n} {d}" for n, d in order))
    return table(head, rows, "heat") + _scale() if rows else ""


def _badness(rung: ResultRow) -> tuple[bool, float]:
    """Return what puts rungs in order: the worst is the largest."""
    error, tolerance = number_of(rung, "error"), number_of(rung, "tolerance")
    return not rung.get("ok"), math.inf if error is None else error / (tolerance or 1)


def _box(rung: ResultRow | None) -> str:
    if rung is None:
        return '<td class="none">–</td>'
    error, tolerance = number_of(rung, "error"), number_of(rung, "tolerance")
    where = f" at {rung['where']}" if rung.get("where") else ""
    short = "NaN" if error is None else _power(error)
    limit = "–" if tolerance is None else f"{tolerance:.1e}"
    exact = "NaN" if error is None else f"{error:.2e}"
    tip = f"{rung.get('name')}, {rung.get('dtype')}: {exact} of scale{where}"
    tip += f"\ntolerance {limit}"
    if not rung.get("ok"):
        return f'<td class="bad" data-tip="{e(tip)}">✗ {short}</td>'
    colour, ink = heat(error, tolerance)
    return (
        f'<td style="background:{colour};color:{ink}" data-tip="{e(tip)}">{short}</td>'
    )


def _power(error: float) -> str:
    """Return log10 of an error, "−15.2"; 0 has none."""
    return f"{math.log10(error):.1f}".replace("-", "−") if error > 0 else "0"


def heat(error: float | None, tolerance: float | None) -> tuple[str, str]:
    """Return the colour of a margin, and one in which numbers can be read on it."""
    margin = _SPAN
    if error and tolerance:
        margin = min(_SPAN, max(0.0, math.log10(tolerance / error)))
    place = margin / _SPAN * (len(CIVIDIS) - 1)
    i = min(int(place), len(CIVIDIS) - 2)
    a, b = (bytes.fromhex(CIVIDIS[i + k][1:]) for k in (0, 1))
    mixed = (round(p + (q - p) * (place - i)) for p, q in zip(a, b))
    return f"#{bytes(mixed).hex()}", "#fff" if place < 4.3 else "#111"


def _scale() -> str:
    """Return the colours' key."""
    boxes = "".join(f'<i style="background:{c}"></i>' for c in CIVIDIS)
    return (
        f'<p class="scale"><span>at the tolerance</span>{boxes}'
        "<span>a millionth of it, or less</span><span>✗ outside it</span></p>"
    )


# Where and how.


def environment(view: View, styles: Styles) -> str:
    """Return machine, versions, settings and sessions."""
    facts: dict[str, list[str]] = {}

    def note(name: str, value: Any) -> None:
        if value not in (None, "", {}, []):
            held = facts.setdefault(name, [])
            if (words := _words(value)) not in held:
                held.append(words)

    for cell in view.cells:
        for name, value in mapping(cell.get("host")).items():
            note(name.replace("_gb", ", GiB"), value)
        note("threads per cell", cell.get("threads"))
    zoo = mapping(view.info.get("zoo"))
    note("zoo", zoo.get("version"))
    note("zoo's source", zoo.get("source"))
    for versions in [view.info, *view.cells]:
        for name, value in mapping(versions.get("versions")).items():
            note(name, value)
    for name, title in (("rounds", "rounds"), ("seeds", "seeds")):
        note(title, view.plan.get(name))
    for session in view.info.get("sessions") or []:
        told = mapping(session)
        load = number_of(told, "load")
        busy = "" if load is None else f", load {number(load)} when it began"
        note("sessions", f"{moment(told.get('started')) or '?'}{busy}")
    rows = [[f"<b>{e(k)}</b>", e("; ".join(v))] for k, v in facts.items()]
    found = table(("machine and versions", ""), rows, "facts") if rows else ""
    return found + _settings(view, styles)


def _words(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return str(value)


def _settings(view: View, styles: Styles) -> str:
    """Return the settings of each column, one beside the other."""
    found: dict[Column, ResultRow] = {}
    for cell in view.cells:
        settings = dict(mapping(cell.get("settings")))
        peak = number_of(cell, "matmul_gflops")
        if peak is not None:
            settings["matrix-multiply peak"] = f"{number(peak)} GFLOP/s"
        if settings:
            found.setdefault(column_of(cell), settings)
    if not found:
        return ""
    names = dict.fromkeys(n for s in found.values() for n in s)
    rows = [
        [f"<b>{e(str(n))}</b>", *(e(_words(s.get(n, "–"))) for s in found.values())]
        for n in names
        if n not in ("framework", "mode")  # the head says them
    ]
    return table(("settings", *(styles[c].title for c in found)), rows, "facts")


def everything(view: View, styles: Styles) -> str:
    """Return every timing, row by row."""
    rows = []
    for r in view.timings:
        common = [
            e(str(r["preset"])),
            key(styles, column_of(r)),
            str(r["seed"]),
            e(str(r.get("what"))),
            str(r.get("batch_size")),
        ]
        if number_of(r, "median_s") is None:
            rows.append([*common, f'<td colspan="9">{e(str(r.get("error")))}</td>'])
            continue
        ends = [seconds(number_of(r, n)) for n in ("low_s", "high_s")]
        ratio = number_of(r, "ratio")
        bounds = [number_of(r, n) for n in ("ratio_low", "ratio_high")]
        told = "–" if ratio is None else times(ratio)
        if None not in bounds:
            told += (
                " <small>(" + " to ".join(times(b or 0) for b in bounds) + ")</small>"
            )
        rounds = r.get("seconds")
        rows.append(
            [
                *common,
                seconds(number_of(r, "median_s")),
                " to ".join(ends),
                f"{len(rounds) if isinstance(rounds, list) else '–'}",
                _plain(r, "examples_per_s"),
                _plain(r, "gflops"),
                percent(number_of(r, "share")),
                mebibytes(number_of(r, "peak_bytes")),
                told,
                e(str(r.get("verdict") or "–")),
            ]
        )
    head = (
        "network", "framework", "seed", "step", "batch", "median", "95 % interval",
        "rounds", "examples/s", "GFLOP/s", "of peak", "peak memory", "over baseline",
        "verdict",
    )  # fmt: skip
    return table(head, rows, "numbers") if rows else ""


def _plain(row: ResultRow, name: str) -> str:
    value = number_of(row, name)
    return "–" if value is None else number(value)
