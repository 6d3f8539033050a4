"""The report's heat map of parity: how far inside the tolerance each rung is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..results import ResultRow
from .parts import Cell, key
from .rows import Column, Styles, View, column_of, mapping, number_of

# Cividis (Nuñez, Anderton and Renslow 2018): even in lightness, and the same to
# colour-blind eyes.
CIVIDIS = (
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173",
    "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838",
)  # fmt: skip
_SPAN = 6.0  # orders of magnitude below the tolerance that have colours of their own

Rung = tuple[str, str]  # name and dtype


class Box(NamedTuple):
    """One rung of one cell."""

    text: str
    tip: str
    ok: bool
    colour: str
    ink: str  # in which numbers can be read on the colour


class HeatMap(NamedTuple):
    """Cells down, rungs across."""

    head: Sequence[str]
    rows: Sequence[tuple[str, Cell, Sequence[Box | None]]]  # None: no such rung
    scale: Sequence[str] = CIVIDIS


def parity(view: View, styles: Styles) -> HeatMap | None:
    """Return the heat map; of several seeds, the worst counts."""
    cells: dict[tuple[str, Column], dict[Rung, ResultRow]] = {}
    for cell in view.cells:
        for rung in mapping(cell.get("parity")).get("rungs") or []:
            rungs = cells.setdefault((str(cell["preset"]), column_of(cell)), {})
            name = str(rung.get("name")), str(rung.get("dtype"))
            if name not in rungs or _badness(rung) > _badness(rungs[name]):
                rungs[name] = rung
    names = dict.fromkeys(name for rungs in cells.values() for name in rungs)
    order = sorted(names, key=lambda name: name[1] != "float64")
    rows = [
        (preset, key(styles[column]), [_box(rungs.get(name)) for name in order])
        for (preset, column), rungs in cells.items()
    ]
    head = ("network", "framework", *(f"{name} {dtype}" for name, dtype in order))
    return HeatMap(head, rows) if rows else None


def _badness(rung: ResultRow) -> tuple[bool, float]:
    """Return a sort key of rungs: the worst is the largest."""
    error, tolerance = number_of(rung, "error"), number_of(rung, "tolerance")
    return not rung.get("ok"), math.inf if error is None else error / (tolerance or 1)


def _box(rung: ResultRow | None) -> Box | None:
    if rung is None:
        return None
    error, tolerance = number_of(rung, "error"), number_of(rung, "tolerance")
    tensor = f" at {rung['where']}" if rung.get("where") else ""
    limit = "–" if tolerance is None else f"{tolerance:.1e}"
    exact = "NaN" if error is None else f"{error:.2e}"
    tip = f"{rung.get('name')}, {rung.get('dtype')}: {exact} of scale{tensor}"
    tip += f"\ntolerance {limit}"
    text = "NaN" if error is None else _power(error)
    return Box(text, tip, bool(rung.get("ok")), *colours(error, tolerance))


def _power(error: float) -> str:
    """Return log10 of an error, "−15.2"; 0 has none."""
    return f"{math.log10(error):.1f}".replace("-", "−") if error > 0 else "0"


def colours(error: float | None, tolerance: float | None) -> tuple[str, str]:
    """Return the colour of an error's margin, and one to write numbers on it."""
    margin = _SPAN
    if error and tolerance:
        margin = min(_SPAN, max(0.0, math.log10(tolerance / error)))
    place = margin / _SPAN * (len(CIVIDIS) - 1)
    i = min(int(place), len(CIVIDIS) - 2)
    start, end = (bytes.fromhex(CIVIDIS[i + k][1:]) for k in (0, 1))
    mixed = (round(a + (b - a) * (place - i)) for a, b in zip(start, end))
    return f"#{bytes(mixed).hex()}", "#fff" if place < 4.3 else "#111"
