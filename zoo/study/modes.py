"""The modes of each room: the ways to run the same model that a study compares.

Keras's other engines are modes too: an engine is chosen by the environment that a
process starts with, so each cell of a study is a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..errors import unknown

_TENSORFLOW = {"KERAS_BACKEND": "tensorflow"}


class Mode(NamedTuple):
    """One way to run the models of a room.

    `env` stands before the framework is imported; `compile` and `channels_last` are
    what the room's functions of these names take; `exact` says that the mode is proven
    in float64: Keras's other engines only in float32.
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
    """Return a mode of a room, by the room's id and the mode's name.

    Raises UnknownNameError with the nearest match.
    """
    if backend not in MODES:
        raise unknown("backend", backend, MODES)
    if mode not in MODES[backend]:
        raise unknown(f"mode of {backend}", mode, MODES[backend])
    return MODES[backend][mode]
