"""A training step of Flax as a good engineer writes it by hand: split, pure, donated.

It does without `nnx.jit`, which traverses the module at each call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from jax import Array


def by_hand(
    model: nnx.Module, images: np.ndarray, labels: np.ndarray, lr: float, decay: float
) -> Callable[[np.ndarray], float]:
    """Return a step: it trains on the examples at some indices, returns the loss."""
    model.train()
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    transform = optax.adamw(lr, weight_decay=decay)

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def train(params: Any, rest: Any, state: Any, x: Array, y: Array) -> Any:
        def objective(params: Any) -> Any:
            live = nnx.merge(graph, params, rest, copy=True)
            losses = optax.softmax_cross_entropy_with_integer_labels(live(x), y)
            return losses.mean(), nnx.state(live, nnx.Not(nnx.Param))

        differentiate = jax.value_and_grad(objective, has_aux=True)
        (loss, rest), grads = differentiate(params)
        updates, state = transform.update(grads, state, params)
        return optax.apply_updates(params, updates), rest, state, loss

    carry = [params, rest, transform.init(params)]

    def step(indices: np.ndarray) -> float:
        *carry[:], loss = train(*carry, images[indices], labels[indices])
        return float(loss)

    return step
