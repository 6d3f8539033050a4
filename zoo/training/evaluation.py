"""Loss and metrics of a model on test examples."""

from __future__ import annotations

import numpy as np

from ..backend import Model
from ..data import Data, Dataset, as_dataset
from ..registry import get_backend
from ..spec.batch import Split
from ..spec.metrics import Tally
from ..spec.recipe import Recipe


def evaluate(
    model: Model, data: Data, *, batch_size: int = 256, recipe: Recipe | None = None
) -> dict[str, float]:
    """Return the loss and the task's metrics of a model on the test examples.

    Args:
        model: of any backend; it runs in eval mode, in its own dtype.
        data: as in `fit`; of a pair of arrays, all examples are test examples.
        batch_size: examples in a forward pass; the result does not depend on it.
        recipe: its loss, and its seed for the split; None is `Recipe()`.
    """
    recipe = recipe or Recipe()
    loss = recipe.loss_for(model.config)
    dataset = as_dataset(data, model.config, seed=recipe.seed, loss=loss)
    examples = dataset.train if isinstance(data, tuple) else dataset.test
    return evaluate_on(model, dataset, examples, loss, batch_size)


def evaluate_on(
    model: Model, data: Dataset, examples: Split, loss: str, batch_size: int = 256
) -> dict[str, float]:
    """Return the loss and metrics of some examples of a data set, in eval mode."""
    backend, tally = get_backend(model), Tally(data.task, loss)
    for start in range(0, len(examples), batch_size):
        stop = min(start + batch_size, len(examples))
        inputs, targets = examples.take(np.arange(start, stop))
        tally.add(backend.forward(model, inputs), targets)
    return tally.result()
