"""Are the cells of a group the same network? What each computed is compared here.

The rungs are those of the ladder that a timed call passes through, walked in each
column's own mode: compiled as it is timed. float64 must agree with the reference to
1e-10 of scale. float32 is held against float64, by a bound that the best column
calibrates; see `zoo.measure`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..measure import FLOAT64, Arrays, bound32, compare, worst

RUNGS = ("forward", "loss", "update", "buffers")
REDRAWS = 8  # inputs tried until no ReLU or max-pool unit flips in float32


def judge(
    reference: str, doubles: Mapping[str, Arrays], singles: Mapping[str, Arrays]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rungs of each column, by name.

    Args:
        reference: column that float64 is compared with; it must be in `doubles`.
        doubles: what the columns gave in float64; those that cannot are missing.
        singles: what the columns gave in float32.
    """
    found: dict[str, list[dict[str, Any]]] = {
        name: [] for name in {**doubles, **singles}
    }
    for rung in RUNGS:
        wanted = _tensors(doubles[reference], rung)
        if not wanted:  # a network without buffers
            continue
        for name, arrays in doubles.items():
            error = worst(compare(_tensors(arrays, rung), wanted))
            found[name].append(_row(rung, "float64", error, FLOAT64))
        errors = {
            name: worst(
                compare(
                    _tensors(arrays, rung),
                    _tensors(doubles.get(name, doubles[reference]), rung),
                )
            )
            for name, arrays in singles.items()
        }
        bound = bound32(errors.values())
        for name, error in errors.items():
            found[name].append(_row(rung, "float32", error, bound))
    return found


def flipped(rungs: Mapping[str, list[dict[str, Any]]]) -> bool:
    """Return whether all that fails may be a unit that flipped in float32.

    A ReLU whose input is within rounding of 0 passes a gradient in one framework only:
    other inputs tell whether it was that.
    """
    odd = [r for rows in rungs.values() for r in rows if not r["ok"]]
    return bool(odd) and all(
        r["dtype"] == "float32" and r["name"] == "update" for r in odd
    )


def _tensors(arrays: Arrays, rung: str) -> Arrays:
    if rung in arrays:
        return {"": arrays[rung]}
    prefix = f"{rung}/"
    return {
        k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)
    }


def _row(rung: str, dtype: str, error: Any, tolerance: float) -> dict[str, Any]:
    return {
        "name": rung,
        "dtype": dtype,
        "error": error.error if math.isfinite(error.error) else None,
        "tolerance": tolerance,
        "ok": bool(error.error <= tolerance),
        "where": error.where,
    }
