"""Flax variables <-> canonical names and layouts: one table, keyed by module type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors.flax import save_file

from ..errors import StateError
from ..spec import layouts
from ..spec.layouts import Arrays, Entry, Leaf, move
from . import _layers

_NORM = move(scale="weight", bias="bias")

TABLE: dict[type, Entry] = {
    nnx.Linear: move(kernel=("weight", (1, 0)), bias="bias"),
    nnx.Conv: move(kernel=("weight", (3, 2, 0, 1)), bias="bias"),
    nnx.Embed: move(embedding="weight"),
    _layers.LayerNorm: _NORM,
    nnx.GroupNorm: _NORM,
    nnx.RMSNorm: move(scale="weight"),
    _layers.BatchNorm: move(
        scale="weight", bias="bias", mean="running_mean", var="running_var"
    ),
}


def submodules(model: nnx.Module) -> dict[str, nnx.Module]:
    """Return every submodule by canonical path, parents first; "" is the model."""
    return dict(_walk(model, ""))


def _walk(module: Any, path: str) -> Iterator[tuple[str, nnx.Module]]:
    yield path, module
    if type(module) in TABLE:
        return
    if type(module).__module__.partition(".")[0] == "flax":
        if _variables(module):
            raise StateError(f"no table entry for {type(module).__name__} at {path!r}.")
        return
    for name, value in vars(module).items():
        if name.startswith("_") or name == "rngs":
            continue
        for key, child in _items(name, value):
            yield from _walk(child, f"{path}.{key}" if path else key)


def _items(name: str, value: Any) -> Iterator[tuple[str, nnx.Module]]:
    if isinstance(value, (nnx.List, nnx.Sequential, list, tuple)):
        items = value.layers if isinstance(value, nnx.Sequential) else value
        for i, item in enumerate(items):
            yield from _items(f"{name}.{i}", item)
    elif isinstance(value, nnx.Dict):
        for key in vars(value):
            if not key.startswith("_"):
                yield from _items(f"{name}.{key}", value[key])
    elif isinstance(value, nnx.Module):
        yield name, value


def _variables(module: nnx.Module) -> dict[str, nnx.Variable]:
    """Return a module's weights and buffers; random states are no weights."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, (nnx.Param, nnx.BatchStat))
    }


def _leaves(model: nnx.Module) -> Iterator[Leaf]:
    """Yield every module that holds weights."""
    for path, module in _walk(model, ""):
        variables = _variables(module)
        if variables:
            yield Leaf(path, variables, TABLE.get(type(module)))


def _learns(variable: nnx.Variable) -> bool:
    return isinstance(variable, nnx.Param)


def collect(
    model: nnx.Module,
    value: Callable[[nnx.Variable], np.ndarray],
    trainable: bool = False,
) -> dict[str, np.ndarray]:
    """Return `value` of every variable under canonical names, in canonical layout."""
    if trainable:
        return layouts.collect(_leaves(model), value, _learns)
    return layouts.collect(_leaves(model), value)


def read(model: nnx.Module) -> dict[str, np.ndarray]:
    """Return the weights and buffers; arrays may share the model's memory."""
    return collect(model, lambda v: np.asarray(v[...]))


def shapes(model: nnx.Module) -> dict[str, tuple[int, ...]]:
    """Return the canonical names and shapes without touching a weight."""
    return layouts.shapes(_leaves(model))


def natives(
    model: nnx.Module, state: Arrays
) -> Iterator[tuple[nnx.Variable, np.ndarray]]:
    """Yield each variable that `state` has, with its array in native layout."""
    return layouts.natives(_leaves(model), state)


def write(model: nnx.Module, state: Arrays) -> None:
    """Set the weights and buffers from canonical arrays of the right shapes."""
    for variable, array in natives(model, state):
        old = variable.get_value()
        # jnp.array copies, as the caller may change its NumPy array later.
        new = jnp.array(array, dtype=variable.dtype)
        if getattr(old, "committed", False):  # keep it on its device
            new = jax.device_put(new, old.sharding)
        variable.set_value(new)


def held(model: nnx.Module) -> list[tuple[nnx.Variable, tuple[str, ...]]]:
    """Return every variable with the canonical names of the weights that it holds."""
    return layouts.held(_leaves(model))


def trainable(model: nnx.Module) -> set[str]:
    """Return the canonical names that gradients reach."""
    return set(layouts.shapes(_leaves(model), _learns))


def save_native(model: nnx.Module, path: Path) -> None:
    """Write safetensors in Flax's layouts, named by NNX paths joined with dots.

    To load it, split the names at the dots into a nested dict, numbers as integers, and
    call `nnx.update(model, nested)`.
    """
    arrays = {
        ".".join(map(str, path)): variable[...]
        for path, variable in nnx.iter_graph(model)
        if isinstance(variable, (nnx.Param, nnx.BatchStat))
    }
    save_file(arrays, str(path), {"format": "flax"})
