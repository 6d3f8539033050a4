"""The timed calls of an NNX model: split, and a pure function under jax.jit.

So the times are of the model's arithmetic, without `nnx.jit`'s traversal of the module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array


def cross_entropy(logits: Array, labels: Array) -> Array:
    chosen = jnp.take_along_axis(nnx.log_softmax(logits), labels[:, None], axis=-1)
    return -chosen.mean()


def bce(logits: Array, labels: Array) -> Array:
    return (nnx.softplus(logits) - logits * labels).mean()


LOSSES = {"cross_entropy": cross_entropy, "bce": bce}


def native(array: np.ndarray) -> Array:
    """Return a channels-last NumPy array as a JAX array."""
    return jnp.asarray(array)


def targets(logits: Array, loss: str) -> Array:
    """Return targets of the right form: the model's own predictions."""
    if loss == "cross_entropy":
        return logits.argmax(-1)
    return (logits > 0).astype(logits.dtype)


def forward(model: nnx.Module, x: Array) -> Callable[[], Array]:
    """Return the call that computes the logits in eval mode."""
    model.eval()
    graph, state = nnx.split(model)

    @jax.jit
    def logits(state: Any, x: Array) -> Array:
        return nnx.merge(graph, state)(x)

    return lambda: jax.block_until_ready(logits(state, x))


def train_step(model: nnx.Module, x: Array, y: Array, loss: str) -> Callable[[], Any]:
    """Return the call that computes loss, gradients and new buffers in train mode."""
    model.train()
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def step(params: Any, rest: Any, x: Array, y: Array) -> Any:
        def objective(params: Any) -> Any:
            copy = nnx.merge(graph, params, rest, copy=True)
            value = LOSSES[loss](copy(x), y)
            return value, nnx.state(copy, nnx.Not(nnx.Param))

        return jax.value_and_grad(objective, has_aux=True)(params)

    return lambda: jax.block_until_ready(step(params, rest, x, y))


def count(model: nnx.Module) -> int:
    """Return the number of trainable scalars."""
    return sum(p.size for p in jax.tree.leaves(nnx.state(model, nnx.Param)))


def wait(model: nnx.Module) -> None:
    """Return when every array of the model has been computed."""
    jax.block_until_ready(nnx.state(model))
