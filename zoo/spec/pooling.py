"""Pooling windows as matrices, where no built-in of a framework has PyTorch's."""

from __future__ import annotations

import numpy as np


def window_averages(size: int, out: int) -> np.ndarray:
    """Return (out, size) weights: row i averages from i*size/out to (i+1)*size/out.

    The windows are those of PyTorch's adaptive average pooling: they overlap unless
    `out` divides `size`.
    """
    weights = np.zeros((out, size))
    for i in range(out):
        begin, end = i * size // out, -(-(i + 1) * size // out)
        weights[i, begin:end] = 1 / (end - begin)
    return weights
