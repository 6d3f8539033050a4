"""Figures of every layer that has weights: its activations and its gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..backend import Model
from ..errors import InputError
from ..models import Inputs, as_inputs, predict
from ..registry import get_backend
from ..spec.metrics import losses
from ..spec.tracing import Sensitivity, Tap, arrays_in
from .diagnosis import LayerFigures
from .gates import gates, slope

FLAT = 0.01  # a gate whose slope is below this share of its steepest is saturated


def statistics(
    model: Model, inputs: Inputs, targets: np.ndarray, loss: str | None = None
) -> list[LayerFigures]:
    """Return the figures of every layer that has weights, in order of their calls.

    They are of one forward pass in train mode, without dropout, and one backward
    pass. The model is not changed.

    Args:
        model: of any backend.
        inputs: as for `predict`; at least two examples, better sixty: a unit is dead
            if it is silent on all of them.
        targets: int ids (N, …), or floats of the outputs' shape, as the loss wants.
        loss: "cross_entropy", "bce" or "mse"; None is the one of the model's config.

    Raises:
        InputError: for inputs or targets that do not fit.
        UnknownNameError: for another loss.
    """
    arrays = as_inputs(model.config, inputs)
    if len(arrays[0]) < 2:
        raise InputError("statistics need a batch of at least 2 examples; got 1.")
    loss, targets = loss or model.config.loss, np.asarray(targets)
    backend, layers = get_backend(model), weights_by_layer(model)
    with np.errstate(all="ignore"):  # `diagnose` reports numbers that are not finite
        losses(predict(model, arrays), targets, loss)  # raises for unfit targets
        sensitivity = backend.sensitivities(model, arrays, targets, loss, True)
        calls: dict[str, list[Tap]] = {}
        for tap in sensitivity.taps:
            calls.setdefault(tap.name, []).append(tap)
        state = backend.read(model)
        return [
            _figures(taps, sensitivity, {k: state[f"{name}.{k}"] for k in layers[name]})
            for name, taps in calls.items()
            if name in layers
        ]


def weights_by_layer(model: Model) -> dict[str, list[str]]:
    """Return the names of the weights that each submodule has of its own."""
    layers: dict[str, list[str]] = {}
    for name in get_backend(model).shapes(model):
        layer, _, own = name.rpartition(".")
        layers.setdefault(layer, []).append(own)
    layers.pop("", None)
    return layers


def _figures(
    taps: Sequence[Tap], sensitivity: Sensitivity, weights: Mapping[str, np.ndarray]
) -> LayerFigures:
    """Return the figures of one layer, over all of its calls."""
    name, last, root = taps[0].name, taps[-1], sensitivity.taps[-1]
    given = [a.ravel() for t in taps for a in _reals(t.inputs[:1])]
    outputs = [_by_unit(_reals(t.output)[0]) for t in taps]
    silent = [_by_unit(_silent(t)) for t in taps]
    recurrent = any(k.startswith("weight_hh_l") for k in weights)
    # A unit dies in a ReLU, which follows neither a recurrent layer nor the last one;
    # a loss without a gradient shows nothing about units.
    final = recurrent or np.array_equal(last.output, root.output, True)
    if final or not root.gradient.any():
        silent = [np.zeros_like(s) for s in silent]
    learned = [k for k in weights if f"{name}.{k}" in sensitivity.gradients]
    weight = _norm(weights[k] for k in learned)
    weight_gradient = _norm(sensitivity.gradients[f"{name}.{k}"] for k in learned)
    saturated: dict[str, float] = {}
    if recurrent:
        values = gates(weights, *last.inputs[:2])[1].items()
        saturated = {k: float((slope(k, v) < FLAT).mean()) for k, v in values}
    return LayerFigures(
        layer=name,
        units=outputs[0].shape[-1],
        given=float(np.concatenate(given).std()) if given else np.nan,
        mean=float(np.concatenate(outputs).mean()),
        std=float(np.concatenate(outputs).std()),
        silent=float(np.concatenate(silent).mean()),
        dead=int(np.concatenate(silent).all(0).sum()),
        saturated=saturated,
        gradient=_norm(g for t in taps for g in _reals(t.gradient)),
        weight=weight,
        weight_gradient=weight_gradient,
        ratio=float(np.float64(weight_gradient) / weight) if weight_gradient else 0.0,
    )


def _silent(tap: Tap) -> np.ndarray:
    """Return where an output is at most 0 and its gradient is only rounding.

    Some gradients cancel to 0: exactly in one framework, up to rounding in another.
    """
    output, slope = (np.asarray(arrays_in(v)[0]) for v in (tap.output, tap.gradient))
    size = np.abs(slope)
    rounding = 64 * np.finfo(slope.dtype).eps if slope.itemsize > 2 else 0
    most = size.max(tuple(range(1, size.ndim)), keepdims=True)  # of each example
    return (output <= 0) & (size <= rounding * most)


def _reals(value: Any) -> list[np.ndarray]:
    """Return the arrays of real numbers in nested tuples, as float64."""
    return [
        np.asarray(a, np.float64) for a in arrays_in(value) if a.dtype.kind not in "iub"
    ]


def _by_unit(array: np.ndarray) -> np.ndarray:
    """Return an array (…, units) as (M, units)."""
    return array.reshape(-1, array.shape[-1])


def _norm(arrays: Iterable[np.ndarray]) -> float:
    return float(
        np.sqrt(sum(np.square(np.asarray(a, np.float64)).sum() for a in arrays))
    )
