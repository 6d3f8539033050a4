"""Losses and measures in NumPy, float64: the yardstick that no framework has made.

A `Tally` adds up batches of any sizes: its results are those of one large batch.
"""

from __future__ import annotations

import math

import numpy as np

from ..configs._base import LOSSES
from ..errors import InputError, unknown

# What is measured, beside the loss.
MEASURES = {
    "classify": ("accuracy",),
    "segment": ("iou",),
    "language": ("accuracy", "perplexity"),
    "regress": (),
}


@np.errstate(over="ignore", invalid="ignore")  # what diverged gives inf or NaN
def losses(
    logits: np.ndarray, targets: np.ndarray, kind: str, label_smoothing: float = 0.0
) -> np.ndarray:
    """Return the loss of every element, float64, in natural units (nats).

    Args:
        logits: (N, …, C), channels last.
        targets: for cross_entropy ids (N, …) in [0, C); for bce and mse floats of the
            logits' shape.
        kind: "cross_entropy", "bce" (binary cross-entropy from logits) or "mse".
        label_smoothing: share of the target spread over all classes (cross_entropy).

    Returns:
        (N, …) for cross_entropy, else (N, …, C).

    Raises:
        UnknownNameError: for another kind.
        InputError: for targets that do not fit the logits.
    """
    z, t = _pair(logits, targets, kind)
    if kind == "mse":
        return (z - t) ** 2
    if kind == "bce":
        return np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    z = z - z.max(-1, keepdims=True)
    log_sum = np.log(np.exp(z).sum(-1))
    found = log_sum - np.take_along_axis(z, t[..., None], -1)[..., 0]
    if not label_smoothing:
        return found
    spread = log_sum - z.mean(-1)
    return (1 - label_smoothing) * found + label_smoothing * spread


def loss(
    logits: np.ndarray, targets: np.ndarray, kind: str, label_smoothing: float = 0.0
) -> float:
    """Return the mean loss; arguments and errors are those of `losses`."""
    return float(losses(logits, targets, kind, label_smoothing).mean())


def _pair(
    logits: np.ndarray, targets: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    if kind not in LOSSES:
        raise unknown("loss", kind, LOSSES)
    z, t = np.asarray(logits).astype(np.float64, copy=False), np.asarray(targets)
    ids = kind == "cross_entropy"
    wanted = z.shape[:-1] if ids else z.shape
    if t.shape != wanted or (ids and t.dtype.kind not in "iu"):
        what = "ids" if ids else "numbers"
        raise InputError(
            f"{kind} of logits {z.shape} needs {what} of shape {wanted};"
            f" got {t.dtype}{t.shape}."
        )
    if ids and t.size and not 0 <= t.min() <= t.max() < z.shape[-1]:
        raise InputError(
            f"targets must be in [0, {z.shape[-1]}); got {t.min()} to {t.max()}."
        )
    return z, t if ids else t.astype(np.float64, copy=False)


def _ids(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class chosen and the true one, of every example or place.

    One logit says yes above 0; of several the largest counts.
    """
    logits, targets = np.asarray(logits), np.asarray(targets)
    one = logits.shape[-1] == 1
    chosen = (logits[..., 0] > 0).astype(int) if one else logits.argmax(-1)
    if targets.ndim == logits.ndim:  # floats of the logits' shape
        targets = (targets[..., 0] > 0.5).astype(int) if one else targets.argmax(-1)
    if targets.shape != chosen.shape:
        raise InputError(f"targets {targets.shape} do not fit logits {logits.shape}.")
    return chosen, targets


def accuracy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the share of examples (or places) whose class is right.

    Args:
        logits: (N, …, C). A single logit says yes above 0.
        targets: ids (N, …), or floats of the logits' shape.
    """
    chosen, true = _ids(logits, targets)
    return float((chosen == true).mean())


def _overlap(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return intersection and union in pixels, of each class: (K,) and (K,)."""
    chosen, true = _ids(logits, targets)
    first = 1 if logits.shape[-1] == 1 else 0  # one logit: the foreground alone
    count = max(2, logits.shape[-1])
    both = np.bincount(true[chosen == true], minlength=count)
    either = np.bincount(chosen.ravel(), minlength=count) - both
    either += np.bincount(true.ravel(), minlength=count)
    return both[first:], either[first:]


def _ratio(both: np.ndarray, either: np.ndarray) -> float:
    seen = either > 0
    return float((both[seen] / either[seen]).mean()) if seen.any() else 1.0


def iou(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return intersection over union, counted over all pixels of all images together.

    Of one logit it is the foreground's; of several the mean over the classes, without
    those that neither occur nor are predicted. Nothing to find and nothing found is 1.

    Args:
        logits: (N, H, W, C).
        targets: ids (N, H, W), or floats of the logits' shape.
    """
    return _ratio(*_overlap(logits, targets))


class Tally:
    """Loss and measures over many batches, as if they were one.

    Args:
        task: "classify" (accuracy), "segment" (iou), "language" (accuracy per token,
            and perplexity: e to the mean cross-entropy without smoothing) or "regress".
        kind: of the loss, see `losses`.
        label_smoothing: of the loss.

    Raises:
        UnknownNameError: for another task or kind.
    """

    def __init__(self, task: str, kind: str, label_smoothing: float = 0.0) -> None:
        if task not in MEASURES:
            raise unknown("task", task, MEASURES)
        if kind not in LOSSES:
            raise unknown("loss", kind, LOSSES)
        self.task, self.kind, self.label_smoothing = task, kind, label_smoothing
        self._loss = self._plain = 0.0
        self._elements = self._right = self._places = 0
        self._both: np.ndarray | int = 0
        self._either: np.ndarray | int = 0

    def add(self, logits: np.ndarray, targets: np.ndarray) -> None:
        """Count a batch: logits (N, …, C), targets as `losses` takes them."""
        found = losses(logits, targets, self.kind, self.label_smoothing)
        self._loss += float(found.sum())
        self._elements += found.size
        for name in MEASURES[self.task]:
            if name == "accuracy":
                chosen, true = _ids(logits, targets)
                self._right += int((chosen == true).sum())
                self._places += true.size
            elif name == "iou":
                both, either = _overlap(logits, targets)
                self._both, self._either = self._both + both, self._either + either
            elif self.kind == "cross_entropy":
                plain = losses(logits, targets, self.kind)
                self._plain += float(plain.sum())

    def result(self) -> dict[str, float]:
        """Return the mean loss, and what the task measures.

        Raises InputError where nothing was added.
        """
        if not self._elements:
            raise InputError("nothing to measure: no batch was added.")
        found = {"loss": self._loss / self._elements}
        for name in MEASURES[self.task]:
            if name == "accuracy":
                found[name] = self._right / self._places
            elif name == "iou":
                both, either = np.asarray(self._both), np.asarray(self._either)
                found[name] = _ratio(both, either)
            elif self.kind == "cross_entropy":
                mean = self._plain / self._elements
                found[name] = math.exp(mean) if mean < 700 else math.inf
        return found


def measures(
    task: str,
    logits: np.ndarray,
    targets: np.ndarray,
    kind: str,
    label_smoothing: float = 0.0,
) -> dict[str, float]:
    """Return loss and measures of one batch; arguments are those of `Tally`."""
    tally = Tally(task, kind, label_smoothing)
    tally.add(logits, targets)
    return tally.result()
