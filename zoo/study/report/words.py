"""Numbers in words."""

from __future__ import annotations

import math
from typing import Any

from ..intervals import Estimate
from ..results import ResultRow


def number(value: float) -> str:
    """Return a number with up to three significant digits."""
    text = three(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def three(value: float) -> str:
    """Return a number with three significant digits, trailing zeros included."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    size = math.floor(math.log10(abs(value)))
    if not -3 <= size < 7:
        return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.{max(0, 2 - size)}f}"


def unit_of(largest: float) -> tuple[float, str]:
    """Return a unit of time for values up to `largest` seconds: its size, its name."""
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if largest >= size:
            return size, unit
    return 1e-6, "µs"


def seconds(value: float | None) -> str:
    """Return "12.3 ms"."""
    if value is None:
        return "–"
    size, unit = unit_of(abs(value))
    return f"{three(value / size)} {unit}"


def mebibytes(value: float | None) -> str:
    """Return bytes as "123 MiB"."""
    return "–" if value is None else f"{number(value / 2**20)} MiB"


def percent(value: float | None) -> str:
    """Return a share as "98.6 %"."""
    return "–" if value is None else f"{number(100 * value)} %"


def moment(time: Any) -> str:
    """Return an ISO time as "2026-11-21 14:00 UTC"."""
    text = str(time or "")
    return text[:16].replace("T", " ") + " UTC" if text.endswith("+00:00") else text


def times(value: float) -> str:
    """Return a ratio as "0.83×"."""
    if value >= 10 or value < 0.1:
        return f"{three(value) if value >= 10 else f'{value:.2g}'}×"
    # Two digits would round a bound just beside 1 to 1.
    return f"{value:.3f}×" if 0.995 <= value < 1.005 else f"{value:.2f}×"


def ratio(estimate: Estimate) -> str:
    """Return "0.83× (0.80 to 0.87)"."""
    low, high = (times(v).removesuffix("×") for v in estimate[1:])
    return f"{times(estimate.value)} ({low} to {high})"


def measure_of(row: ResultRow) -> str:
    """Return the measure that a training run is judged by; accuracy by default."""
    return str(row.get("measure") or "accuracy")


def score(measure: str, value: Any) -> str:
    """Return a measure's value: a loss as it is, all others in percent."""
    if value is None:
        return "–"
    return number(value) if measure == "loss" else percent(value)
