"""Windows of adaptive average pooling as matrices."""

import numpy as np
import pytest

from zoo.spec.pooling import window_averages


def test_windows_that_fit_do_not_overlap():
    assert window_averages(4, 2).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]


def test_windows_that_do_not_fit_overlap():
    # From 0 to 2.5 and from 2.5 to 5: three numbers each, the middle one twice.
    third = 1 / 3
    assert window_averages(5, 2).tolist() == [
        [third, third, third, 0, 0],
        [0, 0, third, third, third],
    ]


def test_more_outputs_than_inputs_repeat_them():
    assert window_averages(2, 4).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


@pytest.mark.parametrize("size, out", [(7, 1), (7, 3), (3, 7), (13, 5), (6, 6)])
def test_averages_of_a_constant_are_the_constant(size, out):
    weights = window_averages(size, out)
    assert weights.shape == (out, size)
    assert np.allclose(weights.sum(1), 1)
    assert (weights.sum(0) > 0).all()  # each number counts somewhere
