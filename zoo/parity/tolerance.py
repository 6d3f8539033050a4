"""Errors of tensors relative to their scale, and the tolerances they are held to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..spec.tracing import Pass, arrays_in

# float64: the largest error that twins may have, as a share of a tensor's scale.
FLOAT64 = 1e-10
TRAJECTORY64 = 1e-8  # after many training steps, each of which amplifies rounding

# float32: each backend is compared with its own float64 result.
EPS32 = float(np.finfo(np.float32).eps)
FACTOR32 = 16  # times the best backend's error; correct twins were measured up to 7.5
CEILING32 = 1e-2  # even where the best backend's error is larger
FLIPPED = 1e-3  # a gradient's error above this comes from units that flipped
REDRAWS = 8  # how many inputs are tried to find some with no flipped unit

# The loss does not depend on every weight. The gradient of a convolution's bias before
# batch norm, or of the keys' bias in attention, is 0 in theory; computed, it is only
# rounding: in float64 some 1e-15 of the largest gradient. These thresholds are shares
# of the largest value of all tensors that are compared.

# In `compare`: the smallest scale of a tensor. Its values may be sums of terms as large
# as other tensors' values, and are then rounded as these are.
FLOOR = 1e-3
# In `zoo.study.proof`, for the update of one SGD step in float64: a tensor below it is
# only rounding, so its errors are relative to the largest tensor itself, not to FLOOR
# times that. Only a scale changes, so the threshold may be far above rounding.
UNSEEN = 1e-9
# In `zoo.parity.trajectory`, for the gradients of the first batch: a tensor below it is
# frozen, as optimizers such as Adam turn even rounding into full steps. Nothing is
# proven about the training of a frozen weight, so the threshold is close to float64's
# rounding. In float32 rounding is larger, and such weights are trained; but only the
# losses are compared there, and they do not depend on these weights.
BLIND = 1e-12

SHORT = "without the optional inputs"  # the name of the second output of a forward rung

Arrays = Mapping[str, np.ndarray]


class Error(NamedTuple):
    """The error of one tensor, relative to its scale."""

    error: float
    where: str


class Results(NamedTuple):
    """Outputs and gradients of one model in one dtype."""

    outputs: np.ndarray
    train: Pass | None
    short: np.ndarray | None = None  # outputs without the optional inputs

    def tensors(self, rung: str) -> Arrays:
        """Return the tensors that a rung compares, in forward order."""
        if rung == "forward" or self.train is None:
            outputs = {"": self.outputs}
            return outputs if self.short is None else {**outputs, SHORT: self.short}
        if rung == "forward (train)":
            return {"": self.train.outputs}
        if rung == "loss":
            return {k: np.asarray(v) for k, v in self.train.losses.items()}
        if rung == "buffers":
            return self.train.buffers
        inputs = {f"input {i}": g for i, g in self.train.input_gradients.items()}
        return {**inputs, **self.train.gradients}


def compare(ours: Arrays, reference: Arrays) -> list[Error]:
    """Return each tensor's max-abs error relative to its scale, in order.

    The scale is the larger of the reference tensor's own max-abs and FLOOR times the
    largest tensor's. A tensor that is missing, surplus, of another shape, or not finite
    has an infinite error.
    """
    peaks = {k: float(np.abs(v).max(initial=0)) for k, v in reference.items()}
    finite = [peak for peak in peaks.values() if np.isfinite(peak)]
    least = FLOOR * max(finite, default=0.0)
    unpaired = ours.keys() ^ reference.keys()
    errors = [Error(np.inf, name) for name in sorted(unpaired)]
    for name, peak in peaks.items():
        if name in unpaired:
            continue
        a = np.asarray(ours[name], np.float64)
        b = np.asarray(reference[name], np.float64)
        if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
            errors.append(Error(np.inf, name))
            continue
        worst = float(np.abs(a - b).max(initial=0))
        scale = max(peak, least)
        errors.append(Error(worst / scale if scale else float(worst > 0), name))
    return errors


def worst(errors: Iterable[Error]) -> Error:
    """Return the largest error."""
    return max(errors, key=lambda e: e.error, default=Error(0.0, ""))


def calibrate(
    rung: str, doubles: Mapping[str, Results], singles: Mapping[str, Results]
) -> tuple[dict[str, Error], float]:
    """Return each model's worst float32 error against its float64, and the bound."""
    errors = {
        k: worst(compare(singles[k].tensors(rung), doubles[k].tensors(rung)))
        for k in singles
    }
    return errors, bound32(errors.values())


def bound32(errors: Iterable[Error]) -> float:
    """Return the largest float32 error allowed, calibrated by the smallest one."""
    best = min((e.error for e in errors if np.isfinite(e.error)), default=0.0)
    return min(max(FACTOR32 * best, 64 * EPS32), CEILING32)


def differ(ours: Any, twins: Any) -> bool:
    """Return whether the arrays of two submodules differ, where they are comparable.

    Arrays of different ranks are not compared, as they are different quantities:
    PyTorch's fused attention applies its dropout module to the output, an explicit one
    to the attention weights.
    """
    pairs = [
        (a, b)
        for a, b in zip(arrays_in(ours), arrays_in(twins))
        if a.ndim == b.ndim and a.dtype.kind == b.dtype.kind == "f"
    ]
    return any(worst(compare({"": a}, {"": b})).error > FLOAT64 for a, b in pairs)


def flipped(single: np.ndarray, double: np.ndarray) -> bool:
    """Return whether the sign of a unit, or the order of two neighbours, differs."""
    if single.shape != double.shape or single.dtype.kind != "f":
        return False
    if (np.sign(single) != np.sign(double)).any():
        return True
    axes = (1, 2) if single.ndim == 4 else ()
    return any(
        (np.sign(np.diff(single, axis=a)) != np.sign(np.diff(double, axis=a))).any()
        for a in axes
    )
