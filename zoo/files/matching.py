"""Arrays from a file -> the arrays of one model, or every mismatch in one error."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
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

    Forgives what public checkpoints carry: a prefix, `num_batches_tracked`, auxiliary
    heads and masks that the config names, a tied alias that is bit-equal, and PyTorch's
    second recurrent bias, which is added into the first.
    """
    arrays: State = {}
    problems = []
    for given, array in state.items():
        name = _own_name(config, shapes, given)
        if name in arrays:
            problems.append(f"{given}: names {name} a second time")
        arrays[name] = np.asarray(array)
    for alias, name in config.tied.items():
        if alias not in shapes and alias in arrays:
            aliased = arrays.pop(alias)
            if name in arrays and not np.array_equal(aliased, arrays[name]):
                problems.append(f"{alias}: differs from {name}, to which it is tied")
    for name in [n for n in arrays if _is_second_bias(n, shapes)]:
        first = name.replace("bias_hh", "bias_ih")
        second = arrays.pop(name)
        if first in arrays and np.shape(second) == np.shape(arrays[first]):
            if second.any():
                warnings.warn(
                    f"{name} was added into {first}: this model has one bias.",
                    stacklevel=3,
                )
            arrays[first] = arrays[first] + second
        else:
            wanted = tuple(shapes[first])
            problems.append(f"{name}: expected {wanted}, got {np.shape(second)}")
    for name, shape in shapes.items():
        if name not in arrays:
            problems.append(f"{name}: missing, expected {shape}")
        elif arrays[name].shape != tuple(shape):
            problems.append(f"{name}: expected {shape}, got {arrays[name].shape}")
        elif arrays[name].dtype.kind != "f" and arrays[name].dtype.name != "bfloat16":
            problems.append(f"{name}: expected floats, got {arrays[name].dtype}")
        elif not np.isfinite(arrays[name].astype(np.float64, copy=False)).all():
            problems.append(f"{name}: holds NaN or infinity")
    for name in arrays:
        if name not in shapes and not _ignored(config, name):
            problems.append(f"{name}: surplus, of shape {arrays[name].shape}")
    if problems:
        head = f"weights do not fit {type(config).__name__}: {len(problems)} mismatches"
        raise StateError("\n  ".join([head, *problems]))
    return {name: arrays[name] for name in shapes}


def _own_name(config: Config, shapes: Mapping[str, Any], name: str) -> str:
    for prefix in config.prefixes:
        if name not in shapes and name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _is_second_bias(name: str, shapes: Mapping[str, Any]) -> bool:
    first = name.replace("bias_hh", "bias_ih")
    return "bias_hh" in name and name not in shapes and first in shapes


def _ignored(config: Config, name: str) -> bool:
    if name.endswith("num_batches_tracked"):
        return True
    return any(fnmatchcase(name, pattern) for pattern in config.ignored)
