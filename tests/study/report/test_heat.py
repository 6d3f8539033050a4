"""Colours of the heat map."""

from zoo.study.report import heat


def test_heat_map_colours():
    assert heat.colours(1e-10, 1e-10)[0] == heat.CIVIDIS[0]  # at the limit
    assert heat.colours(1e-17, 1e-10)[0] == heat.CIVIDIS[-1]
    assert heat.colours(0.0, 1e-10)[0] == heat.CIVIDIS[-1]  # equal
