"""Figures: learning-rate curves and LR range tests, as PNG, SVG or PDF.

matplotlib is imported when a figure is drawn, and without pyplot: no window opens, and
no global state changes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError, MissingPackageError
from ..files.atomic import atomically
from ..registry import COLOURS, TITLES
from ..spec.recipe import Recipe
from .lr_find import LRFinding

INK = "#333333"
_FORMATS = (".png", ".svg", ".pdf")


def schedule(recipe: Recipe, steps: int, path: str | os.PathLike[str]) -> None:
    """Draw the learning rate of each of `steps` updates.

    Args:
        recipe: whose schedule. For plateau it is the rate before any decay.
        steps: length of the run.
        path: of the figure; its suffix is its format: .png, .svg or .pdf.

    Raises:
        FileError: for a path that cannot be written, or another suffix.
        MissingPackageError: if matplotlib is not installed.
    """
    drawing, axes = figure(path)
    # as steps: a rate holds from its update to the next
    axes.step(np.arange(1, steps + 1), recipe.curve(steps), INK, where="mid")
    axes.set(xlabel="step", ylabel="learning rate", title=recipe.schedule)
    axes.set_ylim(bottom=0)
    write(drawing, path)


def lr_curves(findings: Mapping[str, LRFinding], path: str | os.PathLike[str]) -> None:
    """Draw LR range tests, loss over rate, with the suggested rates.

    Args:
        findings: what `zoo.lr_find` returned, by backend.
        path: as in `schedule`; the same errors are raised.
    """
    drawing, axes = figure(path)
    for backend, finding in findings.items():
        colour, label = COLOURS.get(backend, INK), TITLES.get(backend, backend)
        rates, suggestion = finding.rates, finding.suggestion
        axes.plot(rates, finding.losses, color=colour, alpha=0.3, linewidth=1)
        axes.plot(rates, finding.smoothed, color=colour, label=label)
        if suggestion is not None:
            axes.axvline(suggestion, color=colour, linestyle=":")
            top = ("data", "axes fraction")
            text = f" {suggestion:.2g}"
            axes.annotate(text, (suggestion, 0.97), None, top, color=colour)
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
    axes.legend(frameon=False, loc="lower left")
    write(drawing, path)


def losses(
    curves: Mapping[str, np.ndarray], path: str | os.PathLike[str], title: str = ""
) -> None:
    """Draw the training losses of one run in several backends.

    Equal curves stay visible: each later one is thinner, and on top.

    Args:
        curves: loss of every step, (steps,), by backend.
        path: as in `schedule`; the same errors are raised.
        title: above the figure.
    """
    drawing, axes = figure(path)
    for number, (backend, values) in enumerate(curves.items()):
        axes.plot(
            np.arange(1, len(values) + 1),
            values,
            color=COLOURS.get(backend, INK),
            linewidth=max(1.0, 5.0 - 2 * number),
            label=TITLES.get(backend, backend),
        )
    axes.set(xlabel="step", ylabel="training loss", title=title, yscale="log")
    axes.legend(frameon=False)
    write(drawing, path)


def figure(path: str | os.PathLike[str]) -> tuple[Any, Any]:
    """Return an empty figure and its axes.

    Raises FileError for a path whose suffix is no known format, and
    MissingPackageError if matplotlib is not installed.
    """
    if Path(path).suffix.lower() not in _FORMATS:
        raise FileError(f"a figure ends in {', '.join(_FORMATS)}; got {path}.")
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise MissingPackageError(
            "figures need matplotlib, which is not installed: in a checkout of zoo, run"
            " pip install '.[plot]'."
        ) from None
    drawing = Figure(figsize=(6.4, 4), layout="constrained", dpi=150)
    axes = drawing.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return drawing, axes


def write(drawing: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure to a file; an error leaves no half-written file."""
    atomically(Path(path), drawing.savefig)
