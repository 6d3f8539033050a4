"""Pictures of what a model looks at.

Feature maps, Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391), saliency (Simonyan et
al. 2014, arXiv:1312.6034).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..backend import Model
from ..errors import InputError, unknown
from ..models import Inputs, as_inputs, predict
from ..registry import get_backend
from ..spec.tracing import Call, Sensitivity, Tap
from .layers import weights_by_layer


class Maps(NamedTuple):
    """Pictures of a batch, and which layer they are of ("" for the input itself).

    `maps` is (N, H, W, C) of feature maps, else as documented. `targets` (N,) are the
    classes whose score is explained; None of feature maps.
    """

    layer: str
    maps: np.ndarray
    targets: np.ndarray | None = None


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
    calls = get_backend(model).trace(model, as_inputs(model.config, inputs))
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
    return get_backend(model).sensitivities(model, inputs, weights, "score"), ids


def _choose(
    model: Model, calls: Sequence[tuple[Tap | Call, Any]], layer: str | None
) -> str:
    """Return the name of the layer with maps that is meant."""
    names = [c.name for c, _ in calls]
    if layer is not None and layer not in names:
        raise unknown("layer", layer, {n for n in names if n})
    ours = weights_by_layer(model)

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


def _enlarge(small: int, large: int) -> np.ndarray:
    """Return (large, small) weights that interpolate linearly between pixel centres."""
    at = (np.arange(large) + 0.5) * small / large - 0.5
    return np.stack([np.interp(at, np.arange(small), one) for one in np.eye(small)], 1)
