"""The LR range test: the loss while the learning rate rises, and where it falls best.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .backend import Model
from .callbacks import Callback, Row
from .errors import ConfigError, TrainingDiverged
from .loop import Loop, Run
from .recipe import Recipe
from .registry import room_of
from .train import Data, as_dataset, check_recipe, loss_of
from .weights import state

WORSE = 4.0  # times the least smoothed loss: there the test stops
LEAST = 20  # steps


class LRFinding(NamedTuple):
    """What an LR range test found; the arrays are float64, of one length.

    `rates` (K,) rise from `low` by a constant factor; K is less than the steps asked
    for where the test stopped early. `losses` (K,) are those before each update.
    `smoothed` (K,) is a mean over the neighbours on both sides, up to a twentieth of
    the steps away, with weights that fall linearly. `suggestion` is the rate at which
    `smoothed` falls steepest over the logarithm of the rate, the first tenth of the
    steps left out; None where it falls nowhere.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float | None


def lr_find(
    model: Model,
    data: Data,
    recipe: Recipe | None = None,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
) -> LRFinding:
    """Train with a rate that rises at every step, and suggest one.

    The test stops once the smoothed loss is above 4 times its least value, or a loss
    is not finite. The model's weights and buffers are put back afterwards.

    Args:
        model: of any room.
        data: as in `fit`.
        recipe: its optimizer, batch size, precision and so on; its learning rate,
            schedule and length do not matter.
        low, high: first and last rate.
        steps: of the whole rise, at least 20.

    Raises:
        ConfigError: for a range or a number of steps that makes no sense, and what
            `fit` refuses.
        TrainingDiverged: where already one of the first losses is not finite.
    """
    if not (0 < low < high and math.isfinite(high)):
        raise ConfigError(f"low must be positive, and below high; got {low}, {high}.")
    if type(steps) is not int or steps < LEAST:
        raise ConfigError(f"steps must be at least {LEAST}; got {steps!r}.")
    recipe = _rising(recipe or Recipe(), low, high, steps)
    loss = loss_of(model, recipe)
    dataset = as_dataset(data, model.config, recipe, loss)
    check_recipe(model, recipe)
    watch, kept = _Watch(steps), state(model)
    loop = _Rise(
        model,
        dataset,
        recipe,
        loss,
        callbacks=(),
        folder=None,
        checkpoint_every=None,
        keep=1,
        compile=False,
    )
    loop.callbacks = [watch]
    try:
        loop.run(None)
    finally:
        room_of(model).write(model, kept)
    losses = np.array(watch.losses)
    if len(losses) < 3:
        raise TrainingDiverged(
            f"the loss is not finite at step {len(losses) + 1}, with a rate of"
            f" {loop.rates[len(losses)]:.2g}: try a smaller low."
        )
    smoothed = _smooth(losses, steps)
    slope = np.gradient(smoothed)  # over equal steps of the logarithm
    slope[: steps // 10] = 0
    at = int(slope.argmin())
    suggestion = float(loop.rates[at]) if slope[at] < 0 else None
    return LRFinding(loop.rates[: len(losses)], losses, smoothed, suggestion)


def _rising(recipe: Recipe, low: float, high: float, steps: int) -> Recipe:
    """Return a recipe whose rate rises from low to high by a constant factor."""
    return recipe.override(
        lr=low,
        schedule="exponential",
        gamma=(high / low) ** (steps / (steps - 1)),  # over all steps, and one more
        decay_every=None,
        min_lr=0.0,
        epochs=None,
        steps=steps,
        patience=None,
    )


class _Rise(Loop):
    """The loop of `fit` that only trains."""

    def _evaluate(self) -> tuple[bool, bool]:
        return False, False


class _Watch(Callback):
    """Keeps the losses, and stops the run where they have risen too far."""

    def __init__(self, steps: int) -> None:
        self.steps, self.losses = steps, list[float]()

    def trained(self, run: Run, row: Row) -> None:
        if not math.isfinite(row["loss"]):
            run.stop("the loss is not finite")
            return
        self.losses.append(row["loss"])
        smoothed = _smooth(np.array(self.losses), self.steps)
        if smoothed[-1] > WORSE * smoothed.min():
            run.stop("the loss has risen")


def _smooth(losses: np.ndarray, steps: int) -> np.ndarray:
    place = np.arange(len(losses))
    reach = 1 + steps // 20
    weights = np.maximum(0, reach - np.abs(place[:, None] - place))
    return weights @ losses / weights.sum(1)
