"""The Keras backend: each architecture in plain Keras 3. See `zoo.backend`."""

import keras

from ._data import loader
from ._explain import sensitivities
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
from ._weights import read, save_native, shapes, submodules, trainable, write

if keras.backend.backend() == "tensorflow":
    from ._parallel import join
    from ._train import Trainer
else:  # without TensorFlow, whose import would cost time and memory
    from ._engine import Trainer, join

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
