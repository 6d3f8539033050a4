"""The optimizers of a recipe: Optax chains by PyTorch's formulas.

The chains leave out the learning rate, by which the training step multiplies. Optax's
own parts are used where they are equal. The others add epsilon in another place, or
compute 1 - beta^t in a form that loses half of float32's digits; ours replace them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from ..spec.recipe import DECOUPLED, Recipe

Weights = list[Array]


def optimizer(
    names: Sequence[str], shapes: dict[str, tuple[int, ...]], recipe: Recipe
) -> optax.GradientTransformation:
    """Return the recipe's optimizer for a list of weights, given canonical names."""
    core = _OPTIMIZERS[recipe.optimizer](recipe.constants)
    mask = [recipe.decays(shapes[n]) for n in names]
    if not any(mask):
        return core
    decay = optax.add_decayed_weights(recipe.weight_decay, mask)
    parts = (core, decay) if recipe.optimizer in DECOUPLED else (decay, core)
    return optax.chain(*parts)


class Moments(NamedTuple):
    """State of Adam."""

    count: Array
    mu: Weights
    nu: Weights


class NAdamMoments(NamedTuple):
    """State of NAdam; `mu_product` is the product of all momenta so far."""

    count: Array
    mu: Weights
    nu: Weights
    mu_product: Array


class SumOfSquares(NamedTuple):
    """State of Adagrad."""

    sum_of_squares: Weights


def _correction(decay: float, count: Array, dtype: Any) -> Array:
    """Return 1 - decay^count, in a form that loses no digits in float32."""
    return -jnp.expm1(math.log(decay) * count.astype(dtype))


def _adam(beta1: float, beta2: float, eps: float) -> optax.GradientTransformation:
    """Kingma and Ba 2015 (arXiv:1412.6980)."""

    def init(params: Any) -> Moments:
        zeros = optax.tree.zeros_like
        return Moments(jnp.zeros((), jnp.int32), zeros(params), zeros(params))

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count = state.count + 1
        mu = optax.tree.update_moment(updates, state.mu, beta1, 1)
        nu = optax.tree.update_moment(updates, state.nu, beta2, 2)
        dtype = mu[0].dtype
        first = _correction(beta1, count, dtype)
        root = jnp.sqrt(_correction(beta2, count, dtype))
        updates = [m / first / (jnp.sqrt(v) / root + eps) for m, v in zip(mu, nu)]
        return updates, Moments(count, mu, nu)

    return optax.GradientTransformation(init, update)


def _nadam(
    beta1: float, beta2: float, eps: float, momentum_decay: float
) -> optax.GradientTransformation:
    """Dozat 2016, with its momentum schedule."""

    def init(params: Any) -> NAdamMoments:
        zeros, one = optax.tree.zeros_like, jnp.ones((), params[0].dtype)
        count = jnp.zeros((), jnp.int32)
        return NAdamMoments(count, zeros(params), zeros(params), one)

    def momentum(t: Array) -> Array:
        return beta1 * (1 - jnp.exp(momentum_decay * math.log(0.96) * t) / 2)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count = state.count + 1
        t = count.astype(updates[0].dtype)
        now, following = momentum(t), momentum(t + 1)
        product = state.mu_product * now
        mu = optax.tree.update_moment(updates, state.mu, beta1, 1)
        nu = optax.tree.update_moment(updates, state.nu, beta2, 2)
        of_g = (1 - now) / (1 - product)
        of_m = following / (1 - product * following)
        second = _correction(beta2, count, t.dtype)
        updates = [
            (of_g * g + of_m * m) / (jnp.sqrt(v / second) + eps)
            for g, m, v in zip(updates, mu, nu)
        ]
        return updates, NAdamMoments(count, mu, nu, product)

    return optax.GradientTransformation(init, update)


def _adagrad(eps: float) -> optax.GradientTransformation:
    """Duchi et al. 2011, epsilon outside the root."""

    def init(params: Any) -> SumOfSquares:
        return SumOfSquares(optax.tree.zeros_like(params))

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        sums = [s + g * g for s, g in zip(state.sum_of_squares, updates)]
        updates = [g / (jnp.sqrt(s) + eps) for g, s in zip(updates, sums)]
        return updates, SumOfSquares(sums)

    return optax.GradientTransformation(init, update)


def _rmsprop(rho: float, eps: float, momentum: float) -> optax.GradientTransformation:
    scale = optax.scale_by_rms(
        decay=rho, eps=eps, initial_scale=0.0, eps_in_sqrt=False, bias_correction=False
    )
    if not momentum:
        return scale
    return optax.chain(scale, optax.trace(decay=momentum, nesterov=False))


_OPTIMIZERS: dict[str, Callable[[dict[str, float]], optax.GradientTransformation]] = {
    "sgd": lambda c: optax.identity(),
    "momentum": lambda c: optax.trace(decay=c["momentum"], nesterov=False),
    "nesterov": lambda c: optax.trace(decay=c["momentum"], nesterov=True),
    "adam": lambda c: _adam(**c),
    "adamw": lambda c: _adam(**c),
    "rmsprop": lambda c: _rmsprop(**c),
    "adagrad": lambda c: _adagrad(**c),
    "nadam": lambda c: _nadam(**c),
    "lion": lambda c: optax.scale_by_lion(b1=c["beta1"], b2=c["beta2"]),
}

# Optimizer -> PyTorch's name of a slot -> the field of Optax's state that holds it.
SLOTS: dict[str, dict[str, str]] = {
    "sgd": {},
    "momentum": {"momentum_buffer": "trace"},
    "nesterov": {"momentum_buffer": "trace"},
    "adam": {"exp_avg": "mu", "exp_avg_sq": "nu"},
    "adamw": {"exp_avg": "mu", "exp_avg_sq": "nu"},
    "rmsprop": {"square_avg": "nu", "momentum_buffer": "trace"},
    "adagrad": {"sum": "sum_of_squares"},
    "nadam": {"exp_avg": "mu", "exp_avg_sq": "nu"},
    "lion": {"exp_avg": "mu"},
}
SCALARS = {"step": "count", "mu_product": "mu_product"}


def fields(state: Any) -> dict[str, Any]:
    """Return every named field of a chain's state, whichever part has it."""
    if hasattr(state, "_fields"):
        return state._asdict()
    named: dict[str, Any] = {}
    for part in state if isinstance(state, tuple) else ():
        named |= fields(part)
    return named


def with_fields(state: Any, values: dict[str, Any]) -> Any:
    """Return a chain's state with some named fields replaced."""
    if hasattr(state, "_fields"):
        own = {k: v for k, v in values.items() if k in fields(state)}
        return state._replace(**own)
    if isinstance(state, tuple):
        return tuple(with_fields(part, values) for part in state)
    return state


def step(
    transform: optax.GradientTransformation,
    grads: Weights,
    state: Any,
    weights: Weights,
    rates: Sequence[Array],
) -> tuple[Weights, Any]:
    """Return (weights, state) after an update, each weight at its own rate."""
    updates, state = transform.update(grads, state, weights)
    return jax.tree.map(lambda w, r, u: w - r * u, weights, list(rates), updates), state
