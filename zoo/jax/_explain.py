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

# Outputs and targets -> a scalar.
OBJECTIVES = {**LOSSES, "score": lambda z, w: (z * w).sum()}
_Arrays = list[tuple[Any, Any]]  # (inputs, output) of each call


def sensitivities(
    model: nnx.Module,
    inputs: Sequence[np.ndarray],
    targets: np.ndarray,
    objective: str,
    training: bool = False,
) -> Sensitivity:
    """Run forward and backward once; return every output with its gradient."""
    graph, params, rest = nnx.split(_copy(model, training), nnx.Param, ...)
    xs = dict(enumerate(_native(x, model) for x in inputs))  # (N, H, W, C)
    reals = {i: x for i, x in xs.items() if _real(x)}
    others = {**xs, **dict.fromkeys(reals)}
    fixed = (graph, rest, others, _native(targets, model))
    calls: list[Call] = []

    def survey(params: Any, reals: Any) -> _Arrays:
        _, calls[:] = _forward(params, reals, None, *fixed, objective)
        return _arrays(calls)

    outputs = jax.tree.leaves([own for _, own in jax.eval_shape(survey, params, reals)])
    # A zero added to an output has the same gradient as the output.
    zeros = [jnp.zeros(y.shape, y.dtype) for y in outputs if _real(y)]
    grads, arrays = _backward(params, reals, zeros, *fixed, objective)
    calls = [c._replace(given=g, own=o) for c, (g, o) in zip(calls, arrays)]
    # The model's structure gives the gradients their canonical names.
    after = nnx.merge(graph, grads[0], rest, copy=True)
    learned = trainable(model)
    return Sensitivity(  # (N, H, W, C)
        taps(calls, grads[2], _outside),
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
    """Return the objective and every call, whose arrays are tracers."""
    live = nnx.merge(graph, params, rest, copy=True)
    pending = iter(zeros or ())

    def tap(output: jax.Array) -> jax.Array:
        return output + next(pending) if _real(output) else output

    inputs = [reals.get(i, x) for i, x in xs.items()]
    outputs, calls = _recorded(live, inputs, None if zeros is None else tap)
    return OBJECTIVES[objective](outputs, targets), calls  # (), one for each call


@partial(jax.jit, static_argnames=("graph", "objective"))
def _backward(params, reals, zeros, graph, rest, xs, targets, objective):
    def value(params: Any, reals: Any, zeros: Any) -> tuple[jax.Array, _Arrays]:
        fixed = (graph, rest, xs, targets, objective)
        number, calls = _forward(params, reals, zeros, *fixed)
        return number, _arrays(calls)

    return jax.grad(value, (0, 1, 2), has_aux=True)(params, reals, zeros)


def _arrays(calls: Sequence[Call]) -> _Arrays:
    """Return each call's inputs and output, None instead of anything but an array."""
    pairs = [(c.given, c.own) for c in calls]
    return jax.tree.map(lambda v: v if hasattr(v, "dtype") else None, pairs)


def _real(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jnp.floating)


def _recorded(
    model: nnx.Module, xs: Sequence[Any], tap: Callable[[Any], Any] | None
) -> tuple[jax.Array, list[Call]]:
    """Return the outputs and every submodule's call, whose arrays may be tracers."""
    modules = submodules(model)
    names = {id(m): name for name, m in modules.items()}
    recorder = Recorder(names, lambda t: t, _inside, tap=tap)
    with watched(modules, recorder):
        return model(*xs), recorder.calls
