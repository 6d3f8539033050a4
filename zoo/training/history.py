"""The result of a run (`History`), and a run in progress (`Run`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Model, State, Trainer
from ..data import Dataset
from ..spec.batch import Batch
from ..spec.recipe import Recipe


@dataclass
class History:
    """The result of a run: its rows, in order, and how it ended.

    The row of a training step has `split` "train", `step`, `epoch`, `loss`, `lr`; the
    row of an evaluation has its own split, `step`, `epoch`, `loss` and the task's
    metrics.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0  # in training steps alone, of this process
    stopped: str | None = None  # why it ended early
    best: dict[str, Any] | None = None  # {"step", "monitor", "value"}
    average: State | None = None  # with `ema`: weights for `zoo.load_state`

    @property
    def losses(self) -> np.ndarray:
        """The training loss of every step: (steps,), float64."""
        return np.array([r["loss"] for r in self.rows if r["split"] == "train"])

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The rows of the evaluations."""
        return [row for row in self.rows if row["split"] != "train"]


class Run:
    """A run in progress, as callbacks see it."""

    def __init__(
        self, trainer: Trainer, model: Model, data: Dataset, recipe: Recipe, steps: int
    ) -> None:
        self._trainer, self._model = trainer, model
        self.data, self.recipe, self.steps = data, recipe, steps
        self.step = 0  # how many updates are done
        self.history = History()
        self.folder: Path | None = None
        self.batch: Batch | None = None  # the last one
        self.last_checkpoint: Path | None = None

    @property
    def model(self) -> Model:
        """The model, up to date."""
        self._trainer.sync()
        return self._model

    def stop(self, reason: str) -> None:
        """End the run after this step."""
        self.history.stopped = reason
