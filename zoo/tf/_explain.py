"""Every submodule's output with the gradient that reaches it, in Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
from keras import layers, ops

from ..spec.tracing import Recorder, Sensitivity, taps
from ._layers import Model
from ._run import (
    LOSSES,
    _canonical,
    _inside,
    _native,
    _no_dropout,
    _outside,
    _placed,
    _restore,
)
from ._weights import submodules

# Outputs and targets -> a scalar.
OBJECTIVES = {**LOSSES, "score": lambda z, w: ops.sum(z * w)}


def sensitivities(
    model: Model,
    inputs: Sequence[np.ndarray],
    targets: np.ndarray,
    objective: str,
    training: bool = False,
) -> Sensitivity:
    """Run forward and backward once; return every output with its gradient."""
    import tensorflow as tf

    saved = [(v, v.numpy()) for v in model.non_trainable_variables]
    watched: list[Any] = []
    names = {id(m): name for name, m in submodules(model).items()}
    with _placed(model), _no_dropout(model), tf.GradientTape() as tape:

        def tap(tensor: Any) -> Any:
            if not tensor.dtype.is_floating:
                return tensor
            # A copy: where one output is made from another, each has its own gradient.
            watched.append(tf.identity(tensor))
            tape.watch(watched[-1])
            return watched[-1]

        xs = [_native(x, model) for x in inputs]  # (N, H, W, C)
        reals = [i for i, x in enumerate(xs) if x.dtype.is_floating]
        for i in reals:
            tape.watch(xs[i])
        recorder = Recorder(names, lambda t: t, _inside, tap=tap)
        wrapped = recorder.around(layers.Layer.__call__)
        with mock.patch.object(layers.Layer, "__call__", wrapped):
            outputs = model(*xs, training=training)
        value = OBJECTIVES[objective](outputs, _native(targets, model))  # ()
    grads, weights, x_grads = tape.gradient(
        value,
        (watched, [v.value for v in model.trainable_variables], [xs[i] for i in reals]),
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    gradients = _canonical(model, weights)
    _restore(saved)
    return Sensitivity(  # (N, H, W, C)
        taps(recorder.calls, grads, _outside),
        gradients,
        {i: _outside(g) for i, g in zip(reals, x_grads)},
    )
