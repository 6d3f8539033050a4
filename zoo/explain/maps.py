"""Pictures of what a model looks at: feature maps, Grad-CAM and saliency."""

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
    """Pictures of a batch.

    Args:
        layer: that the maps show; "" is the input itself.
        maps: (N, H, W, C) of `feature_maps`, (N, H, W) of `grad_cam`; see `saliency`.
        targets: (N,) classes whose score is explained; None of `feature_maps`.
    """

    layer: str
    maps: np.ndarray
    targets: np.ndarray | None = None


def feature_maps(model: Model, inputs: Inputs, layer: str | None = None) -> Maps:
    """Return a layer's outputs in eval mode, as (N, H, W, C).

    Args:
        model: of any backend.
        inputs: as for `predict`: channels last.
        layer: a submodule that returns maps; None is the last layer whose maps are
            larger than one pixel.

    Raises:
        UnknownNameError: for a submodule that does not exist.
        InputError: for a submodule that returns no maps, or a model without maps.
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
    """Return where a layer's maps support a class: (N, H, W) in [0, 1].

    Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): the sum of the maps, each
    weighted by its mean gradient of the class's score. Negative values become 0; the
    result is resized bilinearly to the image and divided by its maximum. It is 0
    everywhere if nothing supports the class.

    Args:
        model, inputs, layer: as in `feature_maps`.
        target: the class, or one for each example; None is the likeliest. The score
            of a class is its logit, summed over all positions if there are several.

    Raises:
        InputError: as `feature_maps`, and for a class that does not exist.
        UnknownNameError: as `feature_maps`.
    """
    arrays = as_inputs(model.config, inputs)
    sensitivity, targets = _of_score(model, arrays, target)
    name = _choose(model, [(t, t.output) for t in sensitivity.taps], layer)
    tap = next(t for t in reversed(sensitivity.taps) if t.name == name)
    weights = tap.gradient.mean((1, 2), keepdims=True)
    heat = np.maximum((weights * tap.output).sum(-1), 0)  # (N, h, w)
    rows, columns = map(_enlarge, heat.shape[1:], arrays[0].shape[1:3])
    heat = np.einsum("ih,jw,nhw->nij", rows, columns, heat)
    top = heat.max((1, 2), keepdims=True)
    return Maps(name, heat / np.where(top > 0, top, 1), targets)


def saliency(
    model: Model, inputs: Inputs, target: int | np.ndarray | None = None
) -> Maps:
    """Return |d score / d input|, the maximum over channels: (N, H, W).

    For a sequence (N, T, C) it is (N, T), for features (N, F) it is (N, F). From
    Simonyan et al. 2014, arXiv:1312.6034.

    Args:
        model, inputs, target: as in `grad_cam`.

    Raises:
        InputError: for token ids, which have no gradient, and as `grad_cam`.
    """
    arrays = as_inputs(model.config, inputs)
    if arrays[0].dtype.kind != "f":
        raise InputError("saliency is a gradient, and token ids have none.")
    sensitivity, targets = _of_score(model, arrays, target)
    slope = np.abs(sensitivity.input_gradients[0])
    return Maps("", slope if slope.ndim == 2 else slope.max(-1), targets)


def _of_score(
    model: Model, inputs: tuple[np.ndarray, ...], target: int | np.ndarray | None
) -> tuple[Sensitivity, np.ndarray]:
    """Return the backward pass from the scores of classes, and the classes (N,)."""
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
    """Return the name of the layer to show, which has maps; None is the last one."""
    names = [c.name for c, _ in calls]
    if layer is not None and layer not in names:
        raise unknown("layer", layer, {n for n in names if n})
    layers = weights_by_layer(model)

    def in_all_backends(call: Tap | Call) -> bool:
        # a Sequential is a submodule in some backends only
        block = any(n.startswith(f"{call.name}.") for n in layers)
        return call.name in layers or (block and call.kind != "Sequential")

    with_maps = [
        c.name
        for c, own in calls
        if isinstance(own, np.ndarray) and own.ndim == 4 and max(own.shape[1:3]) > 1
        if c.name == layer or (c.name and in_all_backends(c))
    ]
    if not with_maps:
        raise InputError(f"{type(model).__name__} has no layer whose outputs are maps.")
    if layer is not None and layer not in with_maps:
        some = ", ".join(with_maps[:8]) + (", …" if len(with_maps) > 8 else "")
        raise InputError(f"layer {layer!r} returns no maps; these do: {some}.")
    return layer or with_maps[-1]


def _enlarge(small: int, large: int) -> np.ndarray:
    """Return (large, small) weights that interpolate linearly between pixel centres."""
    centres = (np.arange(large) + 0.5) * small / large - 0.5
    columns = [np.interp(centres, np.arange(small), unit) for unit in np.eye(small)]
    return np.stack(columns, 1)
