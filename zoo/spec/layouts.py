"""Native parameter <-> canonical name and layout, as pure functions on dicts.

A room's `_weights.py` holds one table from a layer's exact type to an `Entry`. An
entry only renames, permutes, reshapes, splits, concatenates and stacks, so gradients
and optimizer moments cross between frameworks by the same functions as weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

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
    """Entry that renames, and permutes axes: `move(kernel=("weight", (1, 0)))`.

    The permutation is that of native -> canonical. Double underscores in keywords
    stand for dots. Parameters that a layer does not have (no bias) are left out.
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
    """Join a leaf's path and a canonical name inside it.

    `fc` and `weight` give `fc.weight`; `rnn.l0` and `weight_ih_{}` give
    `rnn.weight_ih_l0`, because the attribute fills the name.
    """
    if "{}" in name:
        path, _, attribute = path.rpartition(".")
        name = name.format(attribute)
    return f"{path}.{name}" if path else name


def hollow(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of this shape that takes no memory: for names and shapes."""
    return np.broadcast_to(np.float32(0), shape)
