"""The pictures of an explanation: which images, which class, and what is drawn."""

from types import SimpleNamespace

import numpy as np
import pytest

from zoo.data import from_arrays
from zoo.errors import InputError
from zoo.explain import drawing
from zoo.explain.maps import Maps
from zoo.training.plots import figure

CLASSES = ("ant", "bee", "cat")


def trained(*shape):
    """Return what stands for a trained model of inputs of this shape."""
    config = SimpleNamespace(inputs=lambda: [SimpleNamespace(shape=shape)])
    return SimpleNamespace(model=SimpleNamespace(config=config), classes=CLASSES)


def test_the_first_test_examples_are_shown():
    x, ids = np.arange(5 * 16.0).reshape(5, 4, 4, 1), np.array([2, 0, 1, 1, 0])
    data = from_arrays(x, ids, test=((x,), ids))
    found = drawing.shots(trained(4, 4, 1), data, count=2)
    assert [(s.stem, s.title) for s in found] == [
        ("test-0", "test example 0, a cat"),
        ("test-1", "test example 1, a ant"),
    ]
    assert found[1].inputs[0].tolist() == x[1:2].tolist()
    assert len(drawing.shots(trained(4, 4, 1), data, count=99)) == 5
    assert drawing.shots(trained(4, 4, 1), from_arrays(x, ids)) == []


def test_inputs_that_are_no_images_are_not_drawn():
    assert drawing.takes_images(trained(4, 4, 1))
    assert not drawing.takes_images(trained(30))
    assert drawing.shots(trained(30), None) == []


def test_a_class_has_a_name_or_a_number():
    model = trained(4, 4, 1)
    found = [drawing.class_number(model, t) for t in ("bee", "2", "7", None)]
    assert found == [1, 2, 7, None]
    with pytest.raises(InputError, match="one of ant, bee, cat; got 'dog'"):
        drawing.class_number(model, "dog")


def test_images_are_stretched_from_black_to_white():
    grey = np.array([[[2.0], [4.0]], [[3.0], [6.0]]])
    assert drawing._visible(grey).tolist() == [[0, 0.5], [0.25, 1]]
    assert drawing._visible(np.zeros((2, 2, 3))).tolist() == [[[0] * 3] * 2] * 2
    two = np.stack([grey[..., 0], grey[..., 0] + 2], -1)  # two channels: their mean
    assert drawing._visible(two).tolist() == [[0, 0.5], [0.25, 1]]


def test_the_maps_that_vary_most_are_drawn_in_order():
    units = np.zeros((1, 2, 2, 20))
    units[0, 0, 0, 3:] = np.arange(3, 20)  # the first three are flat
    page, axes = figure("x.png")
    axes.remove()
    drawing._draw_maps(page.subfigures(1, 1), Maps("conv", units, None))
    shown = [panel.get_title() for panel in page.axes]
    assert shown == [str(unit) for unit in range(4, 20)]
