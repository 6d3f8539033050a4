"""What a model looks at, and why its loss does not fall; the same in every room.

Pictures: feature maps, Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391), saliency
(Simonyan et al. 2014, arXiv:1312.6034). Numbers: activations and gradients of every
layer after one forward and backward pass, and what is wrong with them in words.

A layer here is a submodule that has weights, or a block of such, so all rooms have the
same. What comes after it without weights, an activation or a pooling, is no layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .backend import Model
from .diagnosis import Finding, Row, diagnose
from .errors import InputError, unknown
from .gates import gates, slope
from .measure import arrays_in
from .metrics import losses
from .models import Inputs, as_inputs, predict
from .registry import room_of
from .tracing import Call, Sensitivity, Tap

__all__ = [
    "Finding", "Maps", "Row", "diagnose", "feature_maps", "grad_cam", "saliency",
    "statistics",
]  # fmt: skip
FLAT = 0.01  # of its steepest slope: below, a gate is saturated


class Maps(NamedTuple):
    """Pictures of a batch, and which layer they are of ("" for the input itself).

    `maps` is (N, H, W, C) of feature maps, else as documented. `targets` (N,) are the
    classes whose score is explained; None of feature maps.
    """

    layer: str
    maps: np.ndarray
    targets: np.ndarray | None = None


# Pictures


def feature_maps(model: Model, inputs: Inputs, layer: str | None = None) -> Maps:
    """Return a layer's outputs in eval mode, as (N, H, W, C).

    Args:
        model: of any room.
        inputs: as for `predict`: channels last.
        layer: a submodule that returns maps; None is the last layer whose maps are
            larger than one pixel.

    Raises:
        UnknownNameError: for a submodule that does not exist.
        InputError: for one that returns no maps, or a model without any.
    """
    calls = room_of(model).trace(model, as_inputs(model.config, inputs))
    name = _choose(model, [(c, c.own) for c in calls], layer)
    return Maps(name, next(c.own for c in reversed(calls) if c.name == name))


def grad_cam(
    model: Model,
    inputs: Inputs,
    target: int | np.ndarray | None = None,
    layer: str | None = None,
) -> Maps:
    """Return where a layer's maps speak for a class: (N, H, W) in [0, 1].

    The maps' sum, each weighted by the mean gradient of the class's score, negative
    values cut off, enlarged to the image bilinearly and divided by its maximum. It is
    all 0 where nothing speaks for the class.

    Args:
        model, inputs, layer: as in `feature_maps`.
        target: the class, or one for each example; None is the likeliest. The score
            of a class is its logit, summed over all places where there are many.

    Raises:
        InputError: also for a class that does not exist.
        UnknownNameError: as in `feature_maps`.
    """
    arrays = as_inputs(model.config, inputs)
    found, targets = _of_score(model, arrays, target)
    name = _choose(model, [(t, t.output) for t in found.taps], layer)
    tap = next(t for t in reversed(found.taps) if t.name == name)
    weights = tap.gradient.mean((1, 2), keepdims=True)
    heat = np.maximum((weights * tap.output).sum(-1), 0)  # (N, h, w)
    rows, columns = map(_enlarge, heat.shape[1:], arrays[0].shape[1:3])
    heat = np.einsum("ih,jw,nhw->nij", rows, columns, heat)
    top = heat.max((1, 2), keepdims=True)
    return Maps(name, heat / np.where(top > 0, top, 1), targets)


def saliency(
    model: Model, inputs: Inputs, target: int | np.ndarray | None = None
) -> Maps:
    """Return |d score / d input|, the largest of the channels: (N, H, W).

    Of a sequence (N, T, C) it is (N, T), of plain features (N, F) the same shape.

    Args:
        model, inputs, target: as in `grad_cam`.

    Raises:
        InputError: for token ids, which have no gradient, and as `grad_cam`.
    """
    arrays = as_inputs(model.config, inputs)
    if arrays[0].dtype.kind != "f":
        raise InputError("saliency is a gradient, and token ids have none.")
    found, targets = _of_score(model, arrays, target)
    slope = np.abs(found.input_gradients[0])
    return Maps("", slope if slope.ndim == 2 else slope.max(-1), targets)


def _of_score(
    model: Model, inputs: tuple[np.ndarray, ...], target: int | np.ndarray | None
) -> tuple[Sensitivity, np.ndarray]:
    """Return the pass backwards from the scores of classes, and the classes (N,)."""
    outputs = predict(model, inputs)
    count, width = len(outputs), outputs.shape[-1]
    if target is None:
        target = outputs.reshape(count, -1, width).sum(1).argmax(-1)
    ids = np.asarray(target)
    if ids.dtype.kind not in "iu" or ids.shape not in ((), (count,)):
        raise InputError(
            f"target must be a class, or one for each of {count} examples; got"
            f" {ids.dtype}{ids.shape}."
        )
    if not 0 <= ids.min() <= ids.max() < width:
        raise InputError(
            f"target must be in [0, {width}); got {ids.min()} to {ids.max()}."
        )
    ids = np.broadcast_to(ids, (count,))
    weights = np.zeros_like(outputs)
    weights[np.arange(count), ..., ids] = 1
    return room_of(model).sensitivities(model, inputs, weights, "score"), ids


def _choose(
    model: Model, calls: Sequence[tuple[Tap | Call, Any]], layer: str | None
) -> str:
    """Return the name of the layer with maps that is meant."""
    names = [c.name for c, _ in calls]
    if layer is not None and layer not in names:
        raise unknown("layer", layer, {n for n in names if n})
    ours = _weights_of(model)

    def shared(call: Tap | Call) -> bool:
        # a chain of layers is a module of its own in one room only
        within = any(n.startswith(f"{call.name}.") for n in ours)
        return call.name in ours or (within and call.kind != "Sequential")

    drawn = [
        c.name
        for c, own in calls
        if isinstance(own, np.ndarray) and own.ndim == 4 and max(own.shape[1:3]) > 1
        if c.name == layer or (c.name and shared(c))
    ]
    if not drawn:
        raise InputError(f"{type(model).__name__} has no layer whose outputs are maps.")
    if layer is not None and layer not in drawn:
        some = ", ".join(drawn[:8]) + (", …" if len(drawn) > 8 else "")
        raise InputError(f"layer {layer!r} gives no maps; these do: {some}.")
    return layer or drawn[-1]


def _weights_of(model: Model) -> dict[str, list[str]]:
    """Return every submodule that has weights of its own, with their names."""
    found: dict[str, list[str]] = {}
    for name in room_of(model).shapes(model):
        layer, _, own = name.rpartition(".")
        found.setdefault(layer, []).append(own)
    found.pop("", None)
    return found


def _enlarge(small: int, large: int) -> np.ndarray:
    """Return (large, small) weights that interpolate linearly between pixel centres."""
    at = (np.arange(large) + 0.5) * small / large - 0.5
    return np.stack([np.interp(at, np.arange(small), one) for one in np.eye(small)], 1)


# Numbers


def statistics(
    model: Model, inputs: Inputs, targets: np.ndarray, loss: str | None = None
) -> list[Row]:
    """Return the figures of every layer that has weights, in order of their calls.

    One forward pass as in training, but without dropout, and one backward. The model
    is kept as it is.

    Args:
        model: of any room.
        inputs: as for `predict`; at least two examples, better sixty: a unit counts
            as dead if none of them wakes it.
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
    with np.errstate(all="ignore"):  # what is not finite is told by `diagnose`
        losses(predict(model, arrays), targets, loss)  # or the error for the targets
        found = room_of(model).sensitivities(model, arrays, targets, loss, True)
        calls: dict[str, list[Tap]] = {}
        for tap in found.taps:
            calls.setdefault(tap.name, []).append(tap)
        state, ours = room_of(model).read(model), _weights_of(model)
        return [
            _row(taps, found, {k: state[f"{name}.{k}"] for k in ours[name]})
            for name, taps in calls.items()
            if name in ours
        ]


def _row(
    taps: Sequence[Tap], found: Sensitivity, weights: Mapping[str, np.ndarray]
) -> Row:
    name, last, root = taps[0].name, taps[-1], found.taps[-1]
    given = [a.ravel() for t in taps for a in _reals(t.inputs[:1])]
    outputs = [_by_unit(_reals(t.output)[0]) for t in taps]
    silent = [_by_unit(_silent(t)) for t in taps]
    recurrent = any(k.startswith("weight_hh_l") for k in weights)
    # No ReLU is behind these; and a loss without slope kills no unit.
    final = recurrent or np.array_equal(last.output, root.output, True)
    if final or not root.gradient.any():
        silent = [np.zeros_like(s) for s in silent]
    learned = [k for k in weights if f"{name}.{k}" in found.gradients]
    weight = _norm(weights[k] for k in learned)
    weight_gradient = _norm(found.gradients[f"{name}.{k}"] for k in learned)
    saturated: dict[str, float] = {}
    if recurrent:
        values = gates(weights, *last.inputs[:2])[1].items()
        saturated = {k: float((slope(k, v) < FLAT).mean()) for k, v in values}
    return Row(
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
    """Return where an output is at most 0 and its gradient nothing but rounding.

    Some gradients are 0 by cancellation, which one framework hits and another not.
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
    return array.reshape(-1, array.shape[-1])


def _norm(arrays: Iterable[np.ndarray]) -> float:
    return float(
        np.sqrt(sum(np.square(np.asarray(a, np.float64)).sum() for a in arrays))
    )
