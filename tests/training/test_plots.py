"""Figures: their formats, and what they show."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.errors import FileError, MissingPackageError
from zoo.spec.recipe import Recipe
from zoo.training import plots


@pytest.mark.parametrize(
    "suffix, head", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_the_suffix_is_the_format(suffix, head, tmp_path):
    path = tmp_path / f"curve.{suffix}"
    plots.schedule(Recipe(schedule="cosine"), 10, path)
    assert path.read_bytes().startswith(head)


@pytest.mark.parametrize("name", ["curve.gif", "curve"])
def test_other_formats_are_refused(name, tmp_path):
    with pytest.raises(FileError, match=r"a figure ends in \.png, \.svg, \.pdf"):
        plots.figure(tmp_path / name)


def test_curves_are_drawn_as_they_are(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "write", lambda drawing, path: drawn.append(drawing))
    plots.losses({"torch": np.array([3.0, 2.0]), "jax": np.array([3.0, 1.0])}, "x.png")
    lines = drawn[0].axes[0].lines
    assert [line.get_ydata().tolist() for line in lines] == [[3, 2], [3, 1]]
    assert [line.get_label() for line in lines] == ["PyTorch", "Flax"]
    assert lines[0].get_linewidth() > lines[1].get_linewidth()  # both can be seen
    rates = np.array([1e-3, 1e-2])
    found = SimpleNamespace(rates=rates, losses=rates, smoothed=rates, suggestion=2e-3)
    plots.lr_curves({"tf": found}, "x.png")
    axes = drawn[1].axes[0]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.texts] == [" 0.002"]


def test_a_missing_matplotlib_is_told_with_the_way_out(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match=r"pip install '\.\[plot\]'"):
        plots.figure("x.png")
