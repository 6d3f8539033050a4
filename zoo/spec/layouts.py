"""Native parameter <-> canonical name and layout, as pure functions on dicts.

A backend's `_weights.py` has one table from a layer's exact type to an `Entry`. An
entry only renames, permutes, reshapes, splits, concatenates and stacks. So the same
functions convert weights, gradients and optimizer moments.

The backends of Keras and Flax list the layers of a model that hold weights, as `Leaf`s.
The functions below read and write the weights of such a list. PyTorch needs none of
this, as its names and layouts are the canonical ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

Arrays = Mapping[str, np.ndarray]


class Entry(NamedTuple):
    """A pair of inverse functions: native dict -> canonical dict, and back.

    Keys are names inside one layer: `kernel`, `cell.bias`; `weight`, `bias_ih_{}`.
    A `{}` in a canonical name stands for the layer's own attribute name.
    """

    to: Callable[[Arrays], dict[str, np.ndarray]]
    back: Callable[[Arrays], dict[str, np.ndarray]]


Move = str | tuple[str, tuple[int, ...]]


def move(**names: Move) -> Entry:
    """Return an entry that renames and permutes: `move(kernel=("weight", (1, 0)))`.

    The permutation is the one from native to canonical. A double underscore in a
    keyword means a dot. Parameters that a layer lacks, such as a bias, are skipped.
    """
    pairs = []
    for native, target in names.items():
        native = native.replace("__", ".")
        name, axes = (target, None) if isinstance(target, str) else target
        pairs.append((native, name, axes, None if axes is None else _inverse(axes)))

    def to(native: Arrays) -> dict[str, np.ndarray]:
        return {
            name: _permute(native[key], axes)
            for key, name, axes, _ in pairs
            if key in native
        }

    def back(canonical: Arrays) -> dict[str, np.ndarray]:
        return {
            key: _permute(canonical[name], inverse)
            for key, name, _, inverse in pairs
            if name in canonical
        }

    return Entry(to, back)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort(axes))


def _permute(array: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    return array if axes is None else array.transpose(axes)


def full_name(path: str, name: str) -> str:
    """Join a layer's path and a canonical name inside it.

    `fc` and `weight` give `fc.weight`. `rnn.l0` and `weight_ih_{}` give
    `rnn.weight_ih_l0`: the layer's attribute name fills the `{}`.
    """
    if "{}" in name:
        path, _, attribute = path.rpartition(".")
        name = name.format(attribute)
    return f"{path}.{name}" if path else name


def hollow(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of this shape that takes no memory, to find names and shapes."""
    return np.broadcast_to(np.float32(0), shape)


# Leaves


class Leaf(NamedTuple):
    """A layer that holds weights.

    Args:
        path: canonical; "" is the model itself.
        variables: the framework's own, by native name; each has a `shape`.
        entry: of the layer's type, or None for names and layouts already canonical.
    """

    path: str
    variables: Mapping[str, Any]
    entry: Entry | None


def collect(
    leaves: Iterable[Leaf],
    value: Callable[[Any], np.ndarray],
    keep: Callable[[Any], bool] = lambda variable: True,
) -> dict[str, np.ndarray]:
    """Return `value` of every variable to keep, by canonical name and in its layout."""
    canonical: dict[str, np.ndarray] = {}
    for path, variables, entry in leaves:
        native = {k: value(v) for k, v in variables.items() if keep(v)}
        if native:
            own = native if entry is None else entry.to(native)
            canonical.update({full_name(path, k): v for k, v in own.items()})
    return canonical


def shapes(
    leaves: Iterable[Leaf], keep: Callable[[Any], bool] = lambda variable: True
) -> dict[str, tuple[int, ...]]:
    """Return the canonical names and shapes without touching a weight."""
    arrays = collect(leaves, lambda v: hollow(v.shape), keep)
    return {name: array.shape for name, array in arrays.items()}


def natives(leaves: Iterable[Leaf], state: Arrays) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield each variable that `state` has, with its array in native layout."""
    for path, variables, entry in leaves:
        if entry is None:
            arrays = {k: state.get(full_name(path, k)) for k in variables}
        else:
            names = entry.to({k: hollow(v.shape) for k, v in variables.items()})
            canonical = {k: state.get(full_name(path, k)) for k in names}
            arrays = entry.back({k: v for k, v in canonical.items() if v is not None})
        for key, array in arrays.items():
            if array is not None:
                yield variables[key], array


def held(leaves: Iterable[Leaf]) -> list[tuple[Any, tuple[str, ...]]]:
    """Return every variable with the canonical names of the weights that it holds."""
    pairs = []
    for path, variables, entry in leaves:
        # Arrays filled with each variable's number go through the entry, which shows
        # which variable each canonical name comes from.
        marks = {
            key: np.broadcast_to(np.int32(i), v.shape)
            for i, (key, v) in enumerate(variables.items())
        }
        canonical = marks if entry is None else entry.to(marks)
        owner = {full_name(path, k): int(a.flat[0]) for k, a in canonical.items()}
        for i, variable in enumerate(variables.values()):
            pairs.append((variable, tuple(n for n, o in owner.items() if o == i)))
    return pairs
