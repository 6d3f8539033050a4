"""The PyTorch backend: each architecture in plain PyTorch. See `zoo.backend`."""

from ._data import loader
from ._explain import sensitivities
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
from ._timed import arrange, inference, matmul, outside, profile, settle
from ._train import Trainer
from ._weights import read, save_native, shapes, submodules, trainable, write

__all__ = [
    "DTYPES",
    "Trainer",
    "arrange",
    "backward",
    "construct",
    "count",
    "dropouts",
    "dtype_of",
    "exact",
    "facts",
    "forward",
    "inference",
    "join",
    "loader",
    "matmul",
    "outside",
    "profile",
    "read",
    "save_native",
    "sensitivities",
    "settle",
    "shapes",
    "submodules",
    "trace",
    "trainable",
    "write",
]
