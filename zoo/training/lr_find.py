"""The LR range test: the loss while the learning rate rises, and a rate to take.

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

WORSE = 4.0  # the test stops at this multiple of the least smoothed loss
LEAST = 20  # steps


class LRFinding(NamedTuple):
    """The result of an LR range test; the arrays are float64, of one length.

    `rates` (K,) rise from `low` by a constant factor; K is less than `steps` if the
    test stopped early. `losses` (K,) are those before each update. `smoothed` (K,) is
    a mean over the neighbours on both sides, up to a twentieth of the steps away, with
    weights that fall linearly. `suggestion` is the rate at which `smoothed` falls
    steepest over the logarithm of the rate, not counting the first tenth of the steps;
    None if it never falls.
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

    The test stops when the smoothed loss is above 4 times its least value, or a loss
    is not finite. The model's weights and buffers are restored afterwards.

    Args:
        model: of any backend.
        data: as in `fit`.
        recipe: its optimizer, batch size, precision and so on; its learning rate,
            schedule and length do not matter.
        low, high: first and last rate.
        steps: how many, from the first rate to the last; at least 20.

    Raises:
        ConfigError: for an empty range, too few steps, or what `fit` refuses.
        TrainingDiverged: if one of the first losses is not finite.
    """
    if not (0 < low < high and math.isfinite(high)):
        raise ConfigError(f"low must be positive, and below high; got {low}, {high}.")
    if type(steps) is not int or steps < LEAST:
        raise ConfigError(f"steps must be at least {LEAST}; got {steps!r}.")
    recipe = _rising(recipe or Recipe(), low, high, steps)
    loss = recipe.loss_for(model.config)
    dataset = as_dataset(data, model.config, seed=recipe.seed, loss=loss)
    check_recipe(model, recipe)
    log, weights = _Losses(steps), state(model)
    loop = Loop(model, dataset, recipe, Options(callbacks=(log,), evaluate=False))
    try:
        loop.train()
    finally:
        get_backend(model).write(model, weights)
    losses = np.array(log.losses)
    if len(losses) < 3:
        raise TrainingDiverged(
            f"the loss is not finite at step {len(losses) + 1}, with a rate of"
            f" {loop.rates[len(losses)]:.2g}: try a smaller low."
        )
    smoothed = _smooth(losses, steps)
    rates = loop.rates[: len(losses)]
    return LRFinding(rates, losses, smoothed, _steepest(rates, smoothed, steps // 10))


def _steepest(rates: np.ndarray, smoothed: np.ndarray, skip: int) -> float | None:
    """Return the rate where a curve falls steepest, after the first `skip`."""
    slope = np.gradient(smoothed)  # rates are equally spaced in their logarithm
    slope[:skip] = 0
    at = int(slope.argmin())
    return float(rates[at]) if slope[at] < 0 else None


def _rising(recipe: Recipe, low: float, high: float, steps: int) -> Recipe:
    """Return a recipe whose rate rises from low to high by a constant factor."""
    return recipe.override(
        lr=low,
        schedule="exponential",
        gamma=(high / low) ** (steps / (steps - 1)),  # so that the last rate is high
        decay_every=None,
        min_lr=0.0,
        epochs=None,
        steps=steps,
        patience=None,
    )


class _Losses(Callback):
    """Keeps the losses, and stops the run when they have risen too far."""

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
    """Return the mean over the neighbours, with weights that fall linearly: (K,)."""
    position = np.arange(len(losses))
    reach = 1 + steps // 20
    distance = np.abs(position[:, None] - position)  # (K, K)
    weights = np.maximum(0, reach - distance)
    return weights @ losses / weights.sum(1)
