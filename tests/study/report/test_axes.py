"""Axes: where values lie, and which ticks are written."""

import pytest

from zoo.study.report.axes import Axis


def test_axes():
    linear = Axis(0, 10, 0, 100)
    assert linear(5) == 50 and linear(99) == 100  # nothing leaves the picture
    ratio = Axis(0.25, 4, 0, 100, log=True, values=[0.5, 1, 2])
    assert ratio(1) == 50 and [label for _, label in ratio.ticks(5)] == [
        "0.5",
        "1",
        "2",
    ]
    apart = [position for position, _ in Axis(1, 1e6, 0, 60, log=True).ticks(20)]
    assert all(abs(a - b) >= 20 for a in apart for b in apart if a != b)


def test_an_axis_of_one_value_has_it_in_the_middle():
    assert Axis(3, 3, 0, 100)(3) == 50
    assert Axis(8, 8, 0, 100, log=True)(8) == pytest.approx(50)


def test_a_placed_axis_keeps_its_values():
    axis = Axis(0, 10, 0, 1, tick=lambda v: f"{v:g}!", values=[5, 0]).placed(100, 0)
    assert axis(5) == 50
    assert axis.ticks(10) == [(50, "5!"), (100, "0!")]


def test_a_wanted_tick_comes_first():
    axis = Axis(0, 10, 0, 100, values=[0, 1, 2, 10])
    assert [label for _, label in axis.ticks(15)] == ["0", "2", "10"]
    assert [label for _, label in axis.ticks(15, first=1)] == ["1", "10"]


@pytest.mark.parametrize(
    "low, high, wanted",
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (0, 0.7, ["0", "0.2", "0.4", "0.6"]),
        (12, 48, ["20", "30", "40"]),
    ],
)
def test_ticks_are_round_numbers(low, high, wanted):
    assert [label for _, label in Axis(low, high, 0, 100).ticks(1)] == wanted
