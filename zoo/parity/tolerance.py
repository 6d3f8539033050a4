"""How far two results are apart: errors relative to scale, and what calibrates them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..spec.tracing import Pass, arrays_in

# float64: twins agree to this share of each tensor's scale.
FLOAT64 = 1e-10
TRAJECTORY64 = 1e-8  # after hundreds of steps, each of which amplifies rounding a bit

# float32: each backend is judged against its own float64 result.
EPS32 = float(np.finfo(np.float32).eps)
FACTOR32 = 16  # times the best backend's own error; correct twins reach 7.5
CEILING32 = 1e-2  # however badly the best backend does
FLIPPED = 1e-3  # a gradient this far off holds a flipped unit, in all backends
REDRAWS = 8  # inputs tried until no ReLU or max-pool unit flips

# The loss does not see every weight: a convolution's bias before batch norm, or the
# keys' bias of attention, has a true gradient of 0, and rounding is all that is left of
# it. What counts as rounding depends on what is done with it, as a share of the largest
# tensor of the rung (or of the largest gradient):
FLOOR = 1e-3  # errors: no tensor's scale is smaller, as sums of terms so large round
UNSEEN = 1e-9  # a proof of one update, read from a difference of weights, which rounds
# too: a smaller tensor is all rounding, and its error counts in the largest one's scale
BLIND = 1e-12  # a training run: a weight is kept still only where float64's rounding is
# all that would move it; a real gradient, however small, must be trained

SHORT = "without the optional inputs"

Arrays = Mapping[str, np.ndarray]


class Error(NamedTuple):
    """The error of one tensor, relative to its scale."""

    error: float
    where: str


class Results(NamedTuple):
    """What one model gave in one dtype."""

    outputs: np.ndarray
    train: Pass | None
    short: np.ndarray | None = None  # outputs without the optional inputs

    def tensors(self, rung: str) -> Arrays:
        """Return the tensors that a rung compares, in forward order."""
        if rung == "forward" or self.train is None:
            found = {"": self.outputs}
            return found if self.short is None else {**found, SHORT: self.short}
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

    The scale is the larger of the reference tensor's own max-abs and 1e-3 of the
    largest tensor's: a convolution's bias before BatchNorm has a true gradient of 0,
    and rounding is all it holds. NaN anywhere is an infinite error.
    """
    peaks = {k: float(np.abs(v).max(initial=0)) for k, v in reference.items()}
    floor = FLOOR * max((p for p in peaks.values() if np.isfinite(p)), default=0.0)
    odd = ours.keys() ^ reference.keys()
    errors = [Error(np.inf, name) for name in sorted(odd)]
    for name, peak in peaks.items():
        if name in odd:
            continue
        a = np.asarray(ours[name], np.float64)
        b = np.asarray(reference[name], np.float64)
        if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
            errors.append(Error(np.inf, name))
            continue
        worst = float(np.abs(a - b).max(initial=0))
        scale = max(peak, floor)
        errors.append(Error(worst / scale if scale else float(worst > 0), name))
    return errors


def worst(errors: Iterable[Error]) -> Error:
    """Return the largest error."""
    return max(errors, key=lambda e: e.error, default=Error(0.0, ""))


def calibrate(
    rung: str, doubles: Mapping[str, Results], singles: Mapping[str, Results]
) -> tuple[dict[str, Error], float]:
    """Return each model's worst float32 error against itself, and the bound for all."""
    errors = {
        k: worst(compare(singles[k].tensors(rung), doubles[k].tensors(rung)))
        for k in singles
    }
    return errors, bound32(errors.values())


def bound32(errors: Iterable[Error]) -> float:
    """Return the float32 error that all may have, calibrated by the best of them."""
    best = min((e.error for e in errors if np.isfinite(e.error)), default=0.0)
    return min(max(FACTOR32 * best, 64 * EPS32), CEILING32)


def differ(ours: Any, twins: Any) -> bool:
    """Return whether what two submodules gave differs, where it can be compared.

    Arrays of another rank are not the same quantity: PyTorch's fused attention calls
    its dropout on the output, a written-out one on the weights.
    """
    pairs = [
        (a, b)
        for a, b in zip(arrays_in(ours), arrays_in(twins))
        if a.ndim == b.ndim and a.dtype.kind == b.dtype.kind == "f"
    ]
    return any(worst(compare({"": a}, {"": b})).error > FLOAT64 for a, b in pairs)


def flipped(single: np.ndarray, double: np.ndarray) -> bool:
    """Return whether a unit's sign, or the order of two neighbours, differs."""
    if single.shape != double.shape or single.dtype.kind != "f":
        return False
    if (np.sign(single) != np.sign(double)).any():
        return True
    axes = (1, 2) if single.ndim == 4 else ()
    return any(
        (np.sign(np.diff(single, axis=a)) != np.sign(np.diff(double, axis=a))).any()
        for a in axes
    )
