"""Every submodule's output with the gradient that reaches it, in Flax."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ..spec.tracing import Call, Recorder, Sensitivity, taps
from ._run import LOSSES, _copy, _inside, _native, _outside, watched
from ._weights import read, submodules, trainable

OBJECTIVES = {**LOSSES, "score": lambda z, w: (z * w).sum()}
_Seen = list[tuple[Any, Any]]  # what each call was given, and gave


def sensitivities(
    model: nnx.Module,
    inputs: Sequence[np.ndarray],
    targets: np.ndarray,
    objective: str,
    training: bool = False,
) -> Sensitivity:
    """Run forward and backward once, without dropout; the model is kept.

    Args:
        model: whose submodules' outputs are wanted.
        inputs: in call order, channels last.
        targets: what the objective compares the outputs with, channels last.
        objective: a loss, or "score": the sum of the outputs times the targets.
        training: by the batch's statistics, not the running ones.
    """
    graph, params, rest = nnx.split(_copy(model, training), nnx.Param, ...)
    xs = dict(enumerate(_native(x, model) for x in inputs))
    reals = {i: x for i, x in xs.items() if _real(x)}
    whole = (graph, rest, {**xs, **dict.fromkeys(reals)}, _native(targets, model))
    calls: list[Call] = []

    def survey(params: Any, reals: Any) -> _Seen:
        _, calls[:] = _forward(params, reals, None, *whole, objective)
        return _arrays(calls)

    outputs = jax.tree.leaves([own for _, own in jax.eval_shape(survey, params, reals)])
    # The gradient of a zero that is added to an output is that of the output.
    zeros = [jnp.zeros(y.shape, y.dtype) for y in outputs if _real(y)]
    grads, seen = _backward(params, reals, zeros, *whole, objective)
    held = [c._replace(given=g, own=o) for c, (g, o) in zip(calls, seen)]
    after = nnx.merge(graph, grads[0], rest, copy=True)  # gradients in weights' places
    learned = trainable(model)
    return Sensitivity(
        taps(held, grads[2], _outside),
        {k: v for k, v in read(after).items() if k in learned},
        {i: _outside(g) for i, g in grads[1].items()},
    )


def _forward(
    params: Any,
    reals: Mapping[int, jax.Array],
    zeros: Sequence[jax.Array] | None,
    graph: Any,
    rest: Any,
    xs: Mapping[int, jax.Array | None],
    targets: jax.Array,
    objective: str,
) -> tuple[jax.Array, list[Call]]:
    """Return the objective and every call; these hold tracers."""
    live = nnx.merge(graph, params, rest, copy=True)
    left = iter(zeros or ())

    def tap(output: jax.Array) -> jax.Array:
        return output + next(left) if _real(output) else output

    fed = [reals.get(i, x) for i, x in xs.items()]
    outputs, calls = _recorded(live, fed, None if zeros is None else tap)
    return OBJECTIVES[objective](outputs, targets), calls


@partial(jax.jit, static_argnames=("graph", "objective"))
def _backward(params, reals, zeros, graph, rest, xs, targets, objective):
    def value(params: Any, reals: Any, zeros: Any) -> tuple[jax.Array, _Seen]:
        whole = (graph, rest, xs, targets, objective)
        found, calls = _forward(params, reals, zeros, *whole)
        return found, _arrays(calls)

    return jax.grad(value, (0, 1, 2), has_aux=True)(params, reals, zeros)


def _arrays(calls: Sequence[Call]) -> _Seen:
    """Return what each call was given and gave, with None for what is no array."""
    seen = [(c.given, c.own) for c in calls]
    return jax.tree.map(lambda v: v if hasattr(v, "dtype") else None, seen)


def _real(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jnp.floating)


def _recorded(
    model: nnx.Module, xs: Sequence[Any], tap: Callable[[Any], Any] | None
) -> tuple[jax.Array, list[Call]]:
    """Return the outputs and every submodule's call; these may hold tracers."""
    modules = submodules(model)
    names = {id(m): name for name, m in modules.items()}
    recorder = Recorder(names, lambda t: t, _inside, tap=tap)
    with watched(modules, recorder):
        return model(*xs), recorder.calls
