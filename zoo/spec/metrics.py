"""Losses and measures in NumPy, float64: the same for every framework.

A `Tally` adds up batches of any sizes. Its results are those of one large batch.
"""

from __future__ import annotations

import math

import numpy as np

from ..configs._base import LOSSES
from ..errors import InputError, unknown

# Task -> its measures, in addition to the loss.
MEASURES = {
    "classify": ("accuracy",),
    "segment": ("iou",),
    "language": ("accuracy", "perplexity"),
    "regress": (),
}


@np.errstate(over="ignore", invalid="ignore")  # a diverged model has inf or NaN
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
    log_sum = np.log(np.exp(z).sum(-1))  # (N, …)
    entropy = log_sum - np.take_along_axis(z, t[..., None], -1)[..., 0]  # (N, …)
    if not label_smoothing:
        return entropy
    spread = log_sum - z.mean(-1)
    return (1 - label_smoothing) * entropy + label_smoothing * spread


def _pair(
    logits: np.ndarray, targets: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    if kind not in LOSSES:
        raise unknown("loss", kind, LOSSES)
    z, t = np.asarray(logits).astype(np.float64, copy=False), np.asarray(targets)
    ids = kind == "cross_entropy"
    wanted = z.shape[:-1] if ids else z.shape
    if t.shape != wanted or (ids and t.dtype.kind not in "iu"):
        form = "ids" if ids else "numbers"
        raise InputError(
            f"{kind} of logits {z.shape} needs {form} of shape {wanted};"
            f" got {t.dtype}{t.shape}."
        )
    if ids and t.size and not 0 <= t.min() <= t.max() < z.shape[-1]:
        raise InputError(
            f"targets must be in [0, {z.shape[-1]}); got {t.min()} to {t.max()}."
        )
    return z, t if ids else t.astype(np.float64, copy=False)


def _ids(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted and the true class of every example or position: (N, …).

    A single logit predicts class 1 above 0. Of several logits the largest counts.
    """
    logits, targets = np.asarray(logits), np.asarray(targets)
    one = logits.shape[-1] == 1
    predicted = (logits[..., 0] > 0).astype(int) if one else logits.argmax(-1)
    if targets.ndim == logits.ndim:  # floats of the logits' shape
        targets = (targets[..., 0] > 0.5).astype(int) if one else targets.argmax(-1)
    if targets.shape != predicted.shape:
        raise InputError(f"targets {targets.shape} do not fit logits {logits.shape}.")
    return predicted, targets


def _overlap(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each class's intersection and union, in pixels: (K,) and (K,)."""
    predicted, true = _ids(logits, targets)
    first = 1 if logits.shape[-1] == 1 else 0  # one logit: the foreground only
    count = max(2, logits.shape[-1])
    both = np.bincount(true[predicted == true], minlength=count)
    either = np.bincount(predicted.ravel(), minlength=count) - both
    either += np.bincount(true.ravel(), minlength=count)
    return both[first:], either[first:]


def _ratio(both: np.ndarray, either: np.ndarray) -> float:
    """Return intersection over union, averaged over classes with a union; else 1."""
    seen = either > 0
    return float((both[seen] / either[seen]).mean()) if seen.any() else 1.0


class Tally:
    """Loss and measures over many batches, as if they were one.

    Accuracy is the share of examples (or tokens) whose class is right. Perplexity is e
    to the mean cross-entropy without smoothing. IoU is intersection over union, counted
    over the pixels of all images: of the foreground for one logit, else the mean over
    all classes that occur or are predicted. Where there are none it is 1.

    Args:
        task: "classify" (accuracy), "segment" (iou), "language" (accuracy, perplexity)
            or "regress".
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
        """Add a batch: logits (N, …, C), targets as for `losses`."""
        values = losses(logits, targets, self.kind, self.label_smoothing)
        self._loss += float(values.sum())
        self._elements += values.size
        for name in MEASURES[self.task]:
            if name == "accuracy":
                predicted, true = _ids(logits, targets)
                self._right += int((predicted == true).sum())
                self._places += true.size
            elif name == "iou":
                both, either = _overlap(logits, targets)
                self._both, self._either = self._both + both, self._either + either
            elif self.kind == "cross_entropy":
                plain = losses(logits, targets, self.kind)
                self._plain += float(plain.sum())

    def result(self) -> dict[str, float]:
        """Return the mean loss and the task's measures, by name.

        Raises InputError if no batch was added.
        """
        if not self._elements:
            raise InputError("nothing to measure: no batch was added.")
        result = {"loss": self._loss / self._elements}
        for name in MEASURES[self.task]:
            if name == "accuracy":
                result[name] = self._right / self._places
            elif name == "iou":
                both, either = np.asarray(self._both), np.asarray(self._either)
                result[name] = _ratio(both, either)
            elif self.kind == "cross_entropy":
                mean = self._plain / self._elements
                result[name] = math.exp(mean) if mean < 700 else math.inf
        return result
