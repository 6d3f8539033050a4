"""The Keras room: each architecture in plain Keras 3. The package is the backend."""

from ._data import loader
from ._parallel import join
from ._run import (
    DTYPES,
    backward,
    construct,
    count,
    dropouts,
    dtype_of,
    exact,
    facts,
    forward,
    trace,
)
from ._train import Trainer
from ._weights import read, save_native, shapes, submodules, trainable, write

__all__ = [
    "DTYPES",
    "Trainer",
    "backward",
    "construct",
    "count",
    "dropouts",
    "dtype_of",
    "exact",
    "facts",
    "forward",
    "join",
    "loader",
    "read",
    "save_native",
    "shapes",
    "submodules",
    "trace",
    "trainable",
    "write",
]
