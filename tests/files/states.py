"""States compared bit by bit."""

import numpy as np


def same(a, b):
    """Return whether two states have equal names and equal values."""
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)
