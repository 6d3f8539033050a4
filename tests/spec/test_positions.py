"""Sinusoidal positions, against their formula."""

import math

import numpy as np

from zoo.spec.positions import sinusoid_frequencies, sinusoid_table


def test_frequencies_fall_from_1_by_one_factor():
    found = sinusoid_frequencies(8)
    assert found.dtype == np.float32
    assert np.allclose(found, [1, 0.1, 0.01, 0.001], rtol=1e-6)


def test_the_table_is_sines_beside_cosines():
    table = sinusoid_table(50, 6)
    assert table.shape == (50, 6)
    assert table.dtype == np.float32
    for t in (0, 1, 49):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert abs(table[t, 2 * i] - math.sin(angle)) < 1e-7
            assert abs(table[t, 2 * i + 1] - math.cos(angle)) < 1e-7


def test_the_first_row_is_angle_0():
    assert sinusoid_table(1, 4).tolist() == [[0, 1, 0, 1]]


def test_a_longer_table_only_appends():
    assert np.array_equal(sinusoid_table(9, 4), sinusoid_table(30, 4)[:9])
