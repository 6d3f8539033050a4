"""The modes of each backend: the ways to run the same model that a study compares.

Keras's other engines are modes too: an engine is chosen by the environment that a
process starts with, so each cell of a study is a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..errors import unknown
from ..registry import TITLES

_TENSORFLOW = {"KERAS_BACKEND": "tensorflow"}


class Mode(NamedTuple):
    """One way to run the models of a backend.

    Args:
        title: for people.
        env: environment variables, set before the framework is imported.
        compile, channels_last: arguments of the backend's functions.
        exact: whether the mode is proven in float64; Keras's other engines are proven
            in float32 alone.
    """

    title: str
    env: Mapping[str, str] = MappingProxyType({})
    compile: bool = False
    channels_last: bool = False
    exact: bool = True


# The first is the default.
MODES: dict[str, dict[str, Mode]] = {
    "torch": {
        "eager": Mode("PyTorch"),
        "compile": Mode("PyTorch, torch.compile", compile=True),
        "channels_last": Mode("PyTorch, channels last", channels_last=True),
    },
    "tf": {
        "function": Mode("Keras, tf.function", _TENSORFLOW),
        "xla": Mode("Keras, XLA", _TENSORFLOW, compile=True),
        # Keras has no switch for its engine's precision: the environment has.
        "on_jax": Mode(
            "Keras on JAX",
            {"KERAS_BACKEND": "jax", "JAX_DEFAULT_MATMUL_PRECISION": "highest"},
            exact=False,
        ),
        "on_torch": Mode(
            "Keras on PyTorch",
            {"KERAS_BACKEND": "torch", "NVIDIA_TF32_OVERRIDE": "0"},
            exact=False,
        ),
    },
    "jax": {"jit": Mode("Flax, jit")},
}


def find(backend: str, mode: str) -> Mode:
    """Return a mode of a backend, both by their ids.

    Raises UnknownNameError with the nearest match.
    """
    if backend not in MODES:
        raise unknown("backend", backend, MODES)
    if mode not in MODES[backend]:
        raise unknown(f"mode of {backend}", mode, MODES[backend])
    return MODES[backend][mode]


def title(backend: str, mode: str) -> str:
    """Return a column's name for people; also for modes that only old files have."""
    known = MODES.get(backend, {}).get(mode)
    return known.title if known else f"{TITLES.get(backend, backend)}, {mode}"
