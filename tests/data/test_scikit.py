"""The data that scikit-learn has, and what is told where it is missing."""

import subprocess
import sys

import numpy as np
import pytest

from zoo.data import scikit


def test_digits_are_ink_between_0_and_1():
    images, labels = scikit.digits()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert sorted(set(labels)) == list(range(10))
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize("library", ["sklearn", "PIL"])
def test_a_missing_library_names_the_extra(library):
    code = f"""
import sys
sys.modules[{library!r}] = None
from zoo.data import scikit
try:
    scikit.photographs()
except scikit.MissingDataError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install '.[data]'" in done.stdout
    assert "install zoo" not in done.stdout
    assert done.stdout.count("\n") == 1
