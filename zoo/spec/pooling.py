"""Pooling windows as matrices, for frameworks that lack PyTorch's pooling."""

from __future__ import annotations

import numpy as np


def window_averages(size: int, out: int) -> np.ndarray:
    """Return the (out, size) matrix of PyTorch's adaptive average pooling.

    Row i averages from i * size / out, rounded down, to (i + 1) * size / out, rounded
    up. So windows overlap unless `out` divides `size`.
    """
    weights = np.zeros((out, size))
    for i in range(out):
        begin, end = i * size // out, -(-(i + 1) * size // out)
        weights[i, begin:end] = 1 / (end - begin)
    return weights
