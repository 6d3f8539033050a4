"""The demonstration's second half: one network trained in every framework.

The same CNN, from the same weights, on the same batches of real digits. Once in
float64, where the loss of every step is the same to rounding; once in float32, as one
trains, for accuracy and time. In float32 rounding grows with the steps: a ReLU whose
input is within rounding of 0 switches on in one framework only.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .callbacks import Callback, Row
from .loop import Run
from .models import build, resolve
from .recipe import Recipe
from .registry import ROOMS, TITLES
from .train import fit

PRESET, DATA = "cnn", "digits"
RECIPE = Recipe(
    optimizer="adamw", lr=3e-3, weight_decay=0.01, schedule="one_cycle", epochs=6
)
PROOF_STEPS = 20  # in float64
LEARNED = 0.8  # accuracy of a network that trains at all
SAME = 1e-8  # of the largest loss
LEGEND = (
    "apart: the largest difference of any step's loss, relative to the largest loss."
    f" float64: over {PROOF_STEPS} steps. float32: over the whole run, where rounding"
    " grows once a ReLU switches on in one framework only. s/epoch: median, without"
    " evaluation."
)
_BARS = "▁▂▃▄▅▆▇█"


class Lane(NamedTuple):
    """What one framework did."""

    backend: str
    losses: np.ndarray  # float32, of every step
    exact: np.ndarray  # float64, of the first steps
    accuracy: float  # of the test digits
    seconds: float  # of an epoch's steps, without the first epoch, which compiles


@dataclass
class Race:
    """Result of `run`."""

    lanes: list[Lane]

    @property
    def ok(self) -> bool:
        """True when the losses are the same in float64, and everybody learned."""
        return all(self.gap(lane) <= SAME for lane in self.lanes) and all(
            lane.accuracy > LEARNED for lane in self.lanes
        )

    def gap(self, lane: Lane) -> float:
        """Return the largest difference from the first lane's float64 losses."""
        return _gap(lane.exact, self.lanes[0].exact)

    def table(self) -> Any:
        """Return a rich table: a row per framework."""
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        table.add_column("framework", no_wrap=True)
        table.add_column("loss, step by step", no_wrap=True)
        for name in ("float64 apart", "float32 apart", "accuracy", "s/epoch"):
            table.add_column(name, justify="right", no_wrap=True)
        first = self.lanes[0]
        for lane in self.lanes:
            reference = lane is first
            table.add_row(
                TITLES[lane.backend],
                sparkline(lane.losses),
                "reference" if reference else f"{self.gap(lane):.1e}",
                "reference" if reference else f"{_gap(lane.losses, first.losses):.1e}",
                f"{lane.accuracy:.1%}",
                f"{lane.seconds:.2f}",
            )
        return table

    def verdict(self) -> str:
        """Return the result in a sentence."""
        names = ", ".join(TITLES[lane.backend] for lane in self.lanes)
        worst = max(self.gap(lane) for lane in self.lanes)
        if not self.ok:
            return (
                f"Not the same training in {names}: float64 losses {worst:.0e} apart."
            )
        steps = len(self.lanes[0].exact)
        return (
            f"One training run in {names}: the losses of {steps} steps in float64 agree"
            f" to {worst:.0e}."
        )

    def to_json(self) -> str:
        """Return every number as JSON."""
        rows = [
            {
                "backend": lane.backend,
                "losses": lane.losses.tolist(),
                "losses_float64": lane.exact.tolist(),
                "accuracy": lane.accuracy,
                "seconds_per_epoch": lane.seconds,
            }
            for lane in self.lanes
        ]
        told = {"ok": self.ok, "verdict": self.verdict(), "preset": PRESET}
        recipe = json.loads(RECIPE.to_json())
        return json.dumps({**told, "data": DATA, "recipe": recipe, "lanes": rows})


class _Clock(Callback):
    """Notes how long the steps of each epoch took."""

    def __init__(self) -> None:
        self.marks = [0.0]

    def evaluated(self, run: Run, row: Row) -> None:
        self.marks.append(run.history.seconds)

    def median(self) -> float:
        """Return the seconds of an epoch; the first, which compiles, does not count."""
        return float(
            np.median(np.diff(self.marks)[1:] if self.marks[2:] else self.marks)
        )


def _gap(ours: np.ndarray, reference: np.ndarray) -> float:
    gap = float(np.abs(ours - reference).max() / np.abs(reference).max())
    return gap if math.isfinite(gap) else math.inf


def sparkline(values: np.ndarray, width: int = 24) -> str:
    """Return a curve as one line of bars: the means of `width` stretches."""
    means = np.array([part.mean() for part in np.array_split(values, width)])
    low, high = float(means.min()), float(means.max())
    levels = (means - low) / (high - low or 1) * (len(_BARS) - 1)
    return "".join(_BARS[round(level)] for level in levels)


def run(
    backends: Sequence[str] = ROOMS,
    *,
    seed: int = 0,
    small: bool = False,
    progress: Callable[[str], object] | None = None,
) -> Race:
    """Train the network in each room.

    Args:
        backends: rooms to train in; the first is the reference.
        seed: of the weights, the split and the order of the digits.
        small: a narrow network and fewer epochs, to try the machinery.
        progress: called with a short text as each run begins.
    """
    say = progress or (lambda text: None)
    recipe = RECIPE.override(seed=seed)
    config = resolve(PRESET)
    if small:
        config = config.override(widths=(8, 16), image_size=8)
        recipe = recipe.override(lr=2e-2, batch_size=32, epochs=3)
    proof = recipe.override(epochs=None, steps=PROOF_STEPS)
    lanes = []
    for backend in backends:
        say(f"{TITLES[backend]}, float64")
        with warnings.catch_warnings():  # not a note in the middle of a table
            warnings.filterwarnings("ignore", "switched JAX to 64 bits")
            model = build(config, backend, seed=seed, dtype="float64")
        exact = fit(model, DATA, proof).losses
        say(f"{TITLES[backend]}, float32")
        clock = _Clock()
        model = build(config, backend, seed=seed)
        history = fit(model, DATA, recipe, callbacks=[clock])
        accuracy = history.evaluations[-1]["accuracy"]
        lanes.append(Lane(backend, history.losses, exact, accuracy, clock.median()))
    return Race(lanes)
