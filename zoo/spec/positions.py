"""Sinusoidal encodings of positions and time steps, the same bits in every backend."""

from __future__ import annotations

import numpy as np


def sinusoid_frequencies(width: int) -> np.ndarray:
    """Return the width/2 angular frequencies 10000^(-2i/width), float32.

    They are float32 by definition, so that every backend and every precision uses the
    same bits.
    """
    exponent = np.arange(0, width, 2, dtype=np.float64) / width
    return (10000.0**-exponent).astype(np.float32)


def sinusoid_table(length: int, width: int) -> np.ndarray:
    """Return sinusoidal positions (length, width), float32.

    Even columns are sines, odd ones cosines: Vaswani et al. 2017 (arXiv:1706.03762),
    section 3.5. They are computed in float64 and float32 by definition.
    """
    exponent = np.arange(0, width, 2, dtype=np.float64) / width  # (width/2,)
    steps = np.arange(length, dtype=np.float64)[:, None]  # (length, 1)
    angles = steps * 10000.0**-exponent  # (length, width/2)
    table = np.empty((length, width), np.float32)
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles)
    return table
