"""The state of a run beside its weights and moments, as checkpoints save it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import TrainingDiverged
from ..spec.recipe import MONITORS, Recipe


class Best:
    """The best value of a metric so far, and how many evaluations ago it was.

    Args:
        sign: 1 where larger is better, -1 where smaller is.
        min_delta: an improvement is larger than this. NaN and infinity are none.
    """

    def __init__(self, sign: int, min_delta: float = 0.0) -> None:
        self.sign, self.min_delta = sign, min_delta
        self.value: float | None = None
        self.bad = 0  # evaluations since the best

    def improved(self, value: float) -> bool:
        """Count an evaluation; return whether it is the best so far."""
        better = math.isfinite(value) and (
            self.value is None
            or self.sign * value - self.min_delta > self.sign * self.value
        )
        self.value, self.bad = (value, 0) if better else (self.value, self.bad + 1)
        return better


class LossScale:
    """fp16's loss scale: halved at an overflow, doubled after 2,000 good steps."""

    interval, least = 2000, 2.0**-14

    def __init__(self, precision: str) -> None:
        self.on = precision == "fp16"
        self.value, self.good = 65536.0 if self.on else 1.0, 0

    def update(self, finite: bool) -> None:
        """Count a step; raise TrainingDiverged if no scale is small enough."""
        if not self.on:
            return
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.value /= 2
        elif self.good == self.interval:
            self.value, self.good = self.value * 2, 0
        if self.value < self.least:
            raise TrainingDiverged(
                f"fp16: gradients are not finite even with a loss scale of"
                f" {self.value:.1g}: try bf16, a lower learning rate or clip_norm."
            )


class Progress:
    """The best evaluation, reduce-on-plateau's factor and fp16's loss scale."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        sign = MONITORS[recipe.monitor]
        self.best, self.plateau = Best(sign), Best(sign, recipe.min_delta)
        self.factor = 1.0  # of the learning rate
        self.scale = LossScale(recipe.precision)

    def evaluated(self, row: Mapping[str, Any]) -> bool:
        """Count an evaluation; return whether it is the best so far."""
        recipe = self.recipe
        value = row.get(recipe.monitor, math.nan)
        self.plateau.improved(value)
        if recipe.schedule == "plateau" and self.plateau.bad > recipe.plateau_patience:
            self.plateau.bad = 0
            least = recipe.min_lr / recipe.lr
            self.factor = max(self.factor * recipe.gamma, least)
        return self.best.improved(value)

    def to_json(self) -> dict[str, Any]:
        """Return this state as JSON values, for `restore`."""
        return {
            "lr_factor": self.factor,
            "loss_scale": [self.scale.value, self.scale.good],
            "plateau": [self.plateau.value, self.plateau.bad],
        }

    def restore(self, progress: Mapping[str, Any]) -> None:
        """Continue from the values in a checkpoint's progress.json."""
        self.factor = progress["lr_factor"]
        self.scale.value, self.scale.good = progress["loss_scale"]
        self.plateau.value, self.plateau.bad = progress["plateau"]
        if progress["best"]:
            self.best.value = progress["best"]["value"]
