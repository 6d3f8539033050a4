"""Keras variables <-> canonical names and layouts: one table, keyed by layer type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from ..errors import StateError
from ..spec import layouts
from ..spec.layouts import Arrays, Entry, Leaf, move
from . import _layers

_NORM = move(gamma="weight", beta="bias")
_RECURRENT = move(
    kernel=("weight_ih_{}", (1, 0)),
    recurrent_kernel=("weight_hh_{}", (1, 0)),
    bias="bias_ih_{}",
)


def _swap_rz(w: np.ndarray) -> np.ndarray:
    """Swap Keras's gate order z, r, n and PyTorch's r, z, n on the last axis."""
    z, r, n = np.split(w, 3, -1)
    return np.concatenate((r, z, n), -1)


def _gru_to(native: Arrays) -> dict[str, np.ndarray]:
    b_ih, b_hh = _swap_rz(native["bias"])
    return {
        "weight_ih_{}": _swap_rz(native["kernel"]).T,
        "weight_hh_{}": _swap_rz(native["recurrent_kernel"]).T,
        "bias_ih_{}": b_ih,
        "bias_hh_{}": b_hh,
    }


def _gru_back(state: Arrays) -> dict[str, np.ndarray]:
    return {
        "kernel": _swap_rz(state["weight_ih_{}"].T),
        "recurrent_kernel": _swap_rz(state["weight_hh_{}"].T),
        "bias": _swap_rz(np.stack((state["bias_ih_{}"], state["bias_hh_{}"]))),
    }


TABLE: dict[type, Entry] = {
    layers.Dense: move(kernel=("weight", (1, 0)), bias="bias"),
    layers.Conv2D: move(kernel=("weight", (3, 2, 0, 1)), bias="bias"),
    _layers.PaddedConv2D: move(kernel=("weight", (3, 2, 0, 1)), bias="bias"),
    layers.Conv2DTranspose: move(kernel=("weight", (3, 2, 0, 1)), bias="bias"),
    layers.Embedding: move(embeddings="weight"),
    layers.LayerNormalization: _NORM,
    layers.GroupNormalization: _NORM,
    layers.RMSNormalization: move(scale="weight"),
    _layers.BatchNorm: move(
        gamma="weight",
        beta="bias",
        moving_mean="running_mean",
        moving_variance="running_var",
    ),
    layers.SimpleRNN: _RECURRENT,
    layers.LSTM: _RECURRENT,
    layers.GRU: Entry(_gru_to, _gru_back),
}


def submodules(model: keras.Layer) -> dict[str, keras.Layer]:
    """Return every submodule by canonical path, parents first; "" is the model."""
    return dict(_walk(model, ""))


def _walk(layer: Any, path: str) -> Iterator[tuple[str, keras.Layer]]:
    yield path, layer
    if type(layer) in TABLE:
        return
    if type(layer).__module__.partition(".")[0] == "keras":
        if next(_weights_of(layer), None) is not None:
            raise StateError(f"no table entry for {type(layer).__name__} at {path!r}.")
        return
    # On Keras's torch engine sublayers are in _modules, as in any nn.Module.
    for name, value in {**vars(layer), **getattr(layer, "_modules", {})}.items():
        if name.startswith("_"):
            continue
        for key, child in _items(name, value):
            yield from _walk(child, f"{path}.{key}" if path else key)


def _items(name: str, value: Any) -> Iterator[tuple[str, keras.Layer]]:
    if isinstance(value, keras.Layer):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _items(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _items(f"{name}.{key}", item)


def _weights_of(layer: keras.Layer) -> Iterator[keras.Variable]:
    """Yield a layer's weights and buffers; random states are no weights."""
    return (v for v in layer.variables if v.name != "seed_generator_state")


def _leaves(model: keras.Layer) -> Iterator[Leaf]:
    """Yield every layer that holds weights."""
    for path, layer in _walk(model, ""):
        entry = TABLE.get(type(layer))
        if entry is not None:
            yield Leaf(path, {v.name: v for v in _weights_of(layer)}, entry)
            continue
        raw = {k: v for k, v in vars(layer).items() if isinstance(v, keras.Variable)}
        if raw:
            yield Leaf(path, raw, None)


def _learns(variable: keras.Variable) -> bool:
    return variable.trainable


def collect(
    model: keras.Layer,
    value: Callable[[keras.Variable], np.ndarray],
    trainable: bool = False,
) -> dict[str, np.ndarray]:
    """Return `value` of every variable under canonical names, in canonical layout."""
    if trainable:
        return layouts.collect(_leaves(model), value, _learns)
    return layouts.collect(_leaves(model), value)


def read(model: keras.Layer) -> dict[str, np.ndarray]:
    """Return the weights and buffers; arrays may share the model's memory."""
    return collect(model, lambda v: keras.ops.convert_to_numpy(v))


def shapes(model: keras.Layer) -> dict[str, tuple[int, ...]]:
    """Return the canonical names and shapes without touching a weight."""
    return layouts.shapes(_leaves(model))


def natives(
    model: keras.Layer, state: Arrays
) -> Iterator[tuple[keras.Variable, np.ndarray]]:
    """Yield each variable that `state` has, with its array in native layout."""
    return layouts.natives(_leaves(model), state)


def write(model: keras.Layer, state: Arrays) -> None:
    """Set the weights and buffers from canonical arrays of the right shapes."""
    for variable, array in natives(model, state):
        variable.assign(array)


def held(model: keras.Layer) -> list[tuple[keras.Variable, tuple[str, ...]]]:
    """Return every variable with the canonical names of the weights that it holds."""
    return layouts.held(_leaves(model))


def trainable(model: keras.Layer) -> set[str]:
    """Return the canonical names that gradients reach."""
    return set(layouts.shapes(_leaves(model), _learns))


def save_native(model: keras.Model, path: Path) -> None:
    """Write a `.keras` file."""
    model.save(path)
