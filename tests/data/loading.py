"""Data sets as tests load them, and what an error of theirs looks like."""

import numpy as np

from zoo import data as datasets
from zoo.data import from_arrays

EMBEDDED = ("breast_cancer", "digit_scenes", "digits", "text")


def loaded(name, config, **options):
    """Load a data set for a config that is changed to fit it."""
    return datasets.load(
        name, config.override(**datasets.overrides(name, config)), **options
    )


def everything(split):
    """Return all examples of a split as one batch."""
    return split.take(np.arange(len(split)))


def one_line(caught, *words):
    """Check that an error is one line with these words in it."""
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def numbered(count=10):
    """Return a split whose targets are the numbers of its examples."""
    x = np.arange(count, dtype=np.float32)[:, None]
    return from_arrays(x, np.arange(count)).train
