"""The LR range test: the loss while the learning rate rises, and where it falls best.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..backend import Model
from ..data import Data, as_dataset
from ..errors import ConfigError, TrainingDiverged
from ..files.weights import state
from ..registry import get_backend
from ..spec.recipe import Recipe
from .callbacks import Callback
from .fit import check_recipe
from .history import Run
from .loop import Loop, Options
from .rows import Row

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
        model: of any backend.
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
    check_recipe(model, recipe)
    loss = recipe.loss_for(model.config)
    dataset = as_dataset(data, model.config, seed=recipe.seed, loss=loss)
    watch, kept = _Watch(steps), state(model)
    loop = Loop(model, dataset, recipe, Options(callbacks=(watch,), evaluate=False))
    try:
        loop.train()
    finally:
        get_backend(model).write(model, kept)
    losses = np.array(watch.losses)
    if len(losses) < 3:
        raise TrainingDiverged(
            f"the loss is not finite at step {len(losses) + 1}, with a rate of"
            f" {loop.rates[len(losses)]:.2g}: try a smaller low."
        )
    smoothed = _smooth(losses, steps)
    rates = loop.rates[: len(losses)]
    return LRFinding(rates, losses, smoothed, _steepest(rates, smoothed, steps // 10))


def _steepest(rates: np.ndarray, smoothed: np.ndarray, skip: int) -> float | None:
    """Return the rate where a curve falls steepest, the first `skip` left out."""
    slope = np.gradient(smoothed)  # over equal steps of the logarithm
    slope[:skip] = 0
    at = int(slope.argmin())
    return float(rates[at]) if slope[at] < 0 else None


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
