"""A key, and how far the share that a mask keeps is off."""

import numpy as np

from zoo.spec import masks

KEY = masks.step_key(0, 1)


def share(kept, rate):
    """Return by how many standard deviations the share that is kept is off."""
    return (kept.mean() - (1 - rate)) / np.sqrt(rate * (1 - rate) / kept.size)
