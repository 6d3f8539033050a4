"""Judges whether the cells of a group are the same network, by what each computed.

The rungs are those of the ladder that a timed step depends on. Each column computes
them in its own mode, compiled as it is timed. float64 must agree with the reference to
1e-10 of scale. float32 is compared with float64, within a bound that the best column
calibrates; see `zoo.parity.tolerance`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..parity.tolerance import (
    FLIPPED,
    FLOAT64,
    FLOOR,
    UNSEEN,
    Arrays,
    Error,
    bound32,
    compare,
    worst,
)

CELL_RUNGS = ("forward", "loss", "update", "buffers")


def judge(
    reference: str, doubles: Mapping[str, Arrays], singles: Mapping[str, Arrays]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rungs of each column, by name.

    Args:
        reference: column that float64 is compared with; it must be in `doubles`.
        doubles: arrays of each column in float64; columns without float64 are missing.
        singles: arrays of each column in float32.
    """
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in {**doubles, **singles}
    }
    for rung in CELL_RUNGS:
        wanted = _tensors(doubles[reference], rung)
        if not wanted:  # a network without buffers
            continue
        unseen = _unseen(wanted) if rung == "update" else set()
        for name, arrays in doubles.items():
            error = _error(_tensors(arrays, rung), wanted, unseen)
            rows[name].append(_row(rung, "float64", error, FLOAT64))
        errors = {}
        for name, arrays in singles.items():
            exact = _tensors(doubles.get(name, doubles[reference]), rung)
            errors[name] = _error(_tensors(arrays, rung), exact, unseen)
        bound = bound32(errors.values())
        for name, error in errors.items():
            rows[name].append(_row(rung, "float32", error, bound))
    return rows


def flipped(rungs: Mapping[str, list[dict[str, Any]]]) -> bool:
    """Return whether units may have flipped in float32, and nothing else is wrong.

    A ReLU whose input is within rounding of 0 passes a gradient in one framework only;
    other inputs show whether that was the cause. If the best column flipped too, its
    bound is too wide to prove anything, so other inputs are drawn as well.
    """
    every = [r for rows in rungs.values() for r in rows]
    updates = [r for r in every if (r["dtype"], r["name"]) == ("float32", "update")]
    jumped = any(not r["ok"] or r["error"] > FLIPPED for r in updates)
    return jumped and all(r["ok"] for r in every if r not in updates)


def _tensors(arrays: Arrays, rung: str) -> Arrays:
    if rung in arrays:
        return {"": arrays[rung]}
    prefix = f"{rung}/"
    return {
        k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)
    }


def _error(ours: Arrays, exact: Arrays, unseen: set[str]) -> Error:
    """Return the worst tensor's error; an unseen one's in the largest's scale."""
    return worst(
        error._replace(error=error.error * FLOOR) if error.where in unseen else error
        for error in compare(ours, exact)
    )


def _unseen(updates: Arrays) -> set[str]:
    """Return the weights that the loss does not depend on.

    An example is a convolution's bias before batch norm. Its true gradient is 0; what
    is computed is the rounding of a sum of terms as large as other gradients. So the
    error is measured in the scale of those: how well a framework rounds there says
    nothing about the network.
    """
    peaks = {k: float(np.abs(a).max(initial=0)) for k, a in updates.items()}
    return {k for k, peak in peaks.items() if peak <= UNSEEN * max(peaks.values())}


def _row(rung: str, dtype: str, error: Error, tolerance: float) -> dict[str, Any]:
    return {
        "name": rung,
        "dtype": dtype,
        "error": error.error if math.isfinite(error.error) else None,
        "tolerance": tolerance,
        "ok": bool(error.error <= tolerance),
        "where": error.where,
    }
