"""Matching arrays, such as a file's, to the names and shapes of one model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ..backend import State
from ..configs._base import Config
from ..errors import StateError


def match(
    config: Config,
    shapes: Mapping[str, tuple[int, ...]],
    state: Mapping[str, np.ndarray],
) -> State:
    """Return the arrays of `state` under exactly the names of `shapes`.

    Accepts what public checkpoints add to the model's own arrays: a prefix,
    `num_batches_tracked`, auxiliary heads and masks that the config names, a tied alias
    that is bit-equal, and PyTorch's second recurrent bias, which is added to the first.

    Raises StateError, which lists every mismatch.
    """
    arrays: State = {}
    problems: list[str] = []
    for given, array in state.items():
        name = _own_name(config, shapes, given)
        if name in arrays:
            problems.append(f"{given}: names {name} a second time")
        arrays[name] = np.asarray(array)
    problems += _drop_aliases(config, shapes, arrays)
    problems += _add_second_biases(shapes, arrays)
    problems += _mismatches(config, shapes, arrays)
    if problems:
        head = f"weights do not fit {type(config).__name__}: {len(problems)} mismatches"
        raise StateError("\n  ".join([head, *problems]))
    return {name: arrays[name] for name in shapes}


def _own_name(config: Config, shapes: Mapping[str, Any], name: str) -> str:
    """Return a name without the prefix of a public checkpoint."""
    for prefix in config.prefixes:
        if name not in shapes and name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _drop_aliases(
    config: Config, shapes: Mapping[str, Any], arrays: State
) -> list[str]:
    """Remove the aliases of tied weights; return those that are not bit-equal."""
    problems = []
    for alias, name in config.tied.items():
        if alias not in shapes and alias in arrays:
            aliased = arrays.pop(alias)
            if name in arrays and not np.array_equal(aliased, arrays[name]):
                problems.append(f"{alias}: differs from {name}, to which it is tied")
    return problems


def _add_second_biases(
    shapes: Mapping[str, tuple[int, ...]], arrays: State
) -> list[str]:
    """Add second recurrent biases to the first ones; return those of other shapes."""
    problems = []
    for name in [n for n in arrays if _is_second_bias(n, shapes)]:
        first = name.replace("bias_hh", "bias_ih")
        second = arrays.pop(name)
        if first in arrays and np.shape(second) == np.shape(arrays[first]):
            if second.any():
                warnings.warn(
                    f"{name} was added into {first}: this model has one bias.",
                    stacklevel=4,  # the caller of load or load_state
                )
            arrays[first] = arrays[first] + second
        else:
            expected = tuple(shapes[first])
            problems.append(f"{name}: expected {expected}, got {np.shape(second)}")
    return problems


def _is_second_bias(name: str, shapes: Mapping[str, Any]) -> bool:
    first = name.replace("bias_hh", "bias_ih")
    return "bias_hh" in name and name not in shapes and first in shapes


def _mismatches(
    config: Config, shapes: Mapping[str, tuple[int, ...]], arrays: State
) -> Iterator[str]:
    """Yield each array that is missing, wrong or surplus."""
    for name, shape in shapes.items():
        if name not in arrays:
            yield f"{name}: missing, expected {shape}"
        elif arrays[name].shape != tuple(shape):
            yield f"{name}: expected {shape}, got {arrays[name].shape}"
        elif arrays[name].dtype.kind != "f" and arrays[name].dtype.name != "bfloat16":
            yield f"{name}: expected floats, got {arrays[name].dtype}"
        elif not np.isfinite(arrays[name].astype(np.float64, copy=False)).all():
            yield f"{name}: holds NaN or infinity"
    for name in arrays:
        if name not in shapes and not _ignored(config, name):
            yield f"{name}: surplus, of shape {arrays[name].shape}"


def _ignored(config: Config, name: str) -> bool:
    if name.endswith("num_batches_tracked"):
        return True
    return any(fnmatchcase(name, pattern) for pattern in config.ignored)
