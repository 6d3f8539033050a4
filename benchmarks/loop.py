"""`zoo.fit` against the same training step written by hand in each framework.

Both train the same twin from the same weights on the same batches, with AdamW, and
read every loss. `fit` runs as users run it, without a folder. One of its callbacks does
the step by hand, so the two take turns. The time between two calls of the callback is
one iteration of the zoo's loop: the batch, the step, the row of the history, checks.
Evaluations and the first steps, which compile, are not timed.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import import_module
from time import perf_counter, process_time
from typing import Any

import numpy as np

import zoo
from zoo.data import Dataset, from_arrays, load
from zoo.spec.draws import order

from .fresh import ChildError, run_module
from .paired import Paired
from .report import Row
from .speed import LIMIT, SUFFIX, Case, Mode

PEER = "by hand"
CASES = {
    "cnn": Case(64, "image_size", 28, 12, PEER),
    "resnet18": Case(8, "image_size", 112, 64, PEER),
}
WARM_UP, MOST = 5, 1000
RECIPE = zoo.Recipe(optimizer="adamw", weight_decay=0.01, steps=WARM_UP + MOST)


class Turns(zoo.Callback):
    """Times the loop that calls it, and in turn with it a step by hand."""

    def __init__(
        self, step: Callable[[np.ndarray], float], seconds: float, least: int, cpu: bool
    ) -> None:
        self.step, self.seconds, self.least = step, seconds, least
        self.now = process_time if cpu else perf_counter
        self.times: tuple[list[float], list[float]] = [], []

    def begin(self, run: Any) -> None:
        count, size = len(run.data.train), run.recipe.batch_size
        epochs = range(-(-run.steps * size // count))
        orders = [order(run.recipe.seed, f"epoch:{e}", count) for e in epochs]
        self.batches = [o[i : i + size] for o in orders for i in range(0, count, size)]
        gc.collect()
        gc.disable()
        self.returned = self.now()

    def trained(self, run: Any, row: dict[str, Any]) -> None:
        zoos = self.now() - self.returned
        indices = self.batches[run.step - 1]
        begin = self.now()
        loss = self.step(indices)
        hands = self.now() - begin
        if run.step <= WARM_UP:
            if not np.isclose(loss, row["loss"], rtol=0.01):
                raise AssertionError(f"losses {row['loss']} and {loss} differ")
            self.until = perf_counter() + self.seconds
        else:
            for record, time in zip(self.times, (zoos, hands)):
                record.append(time)
            if len(self.times[0]) >= self.least and perf_counter() > self.until:
                run.stop("measured")
        self.returned = self.now()

    def end(self, run: Any) -> None:
        gc.enable()


def measure(name: str, backend: str, mode: Mode) -> Iterator[Row]:
    """Time the loop on one model, in this process."""
    case = CASES[name]
    size = case.quick_size if mode.quick else case.size
    config = zoo.config(name, **{case.field: size})
    ours, theirs = (zoo.build(config, backend=backend) for _ in range(2))
    data, recipe = _data(config), RECIPE.override(batch_size=case.batch)
    hand: Any = import_module(f"{__package__}.loops_{SUFFIX[backend]}")
    [images], labels = data.train.take(np.arange(len(data.train)))
    step = hand.by_hand(theirs, images, labels, recipe.lr, recipe.weight_decay)
    seconds, least = (0, 3) if mode.quick else (40, 20)
    turns = Turns(step, seconds, least, mode.cpu)
    zoo.fit(ours, data, recipe, callbacks=[turns])
    times = Paired(*map(tuple, turns.times))
    yield Row.of(times, **_about(name, backend))


def _data(config: Any) -> Dataset:
    """Return the digits, or noise where they do not fit, without a test split."""
    if config.in_channels == 1:
        digits = load("digits", config).train
        [images], labels = digits.take(np.arange(len(digits)))
    else:
        rng = np.random.default_rng(0)
        images = rng.standard_normal((256, *config.inputs()[0].shape), np.float32)
        labels = rng.integers(config.num_classes, size=256)
    return from_arrays(images, labels)


def _about(name: str, backend: str) -> dict[str, Any]:
    case = {"name": name, "backend": backend, "what": "loop"}
    return case | {"peer": PEER, "limit": LIMIT}


def rows(name: str, backend: str, mode: Mode) -> list[Row]:
    """Time one model in a fresh process; if that dies, return a failed row."""
    arguments = [name, backend, *(f for f in mode._fields if getattr(mode, f))]
    try:
        return [Row(**row) for row in run_module("loop", *arguments)]
    except ChildError as error:
        return [Row(**_about(name, backend), error=str(error))]


def keep_memory() -> None:
    """Make glibc's malloc, if it is used, keep freed memory in this process.

    Otherwise the larger of two alternating programs gets new pages at each step, as its
    buffers do not fit into those that the other has freed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        trim_threshold, mmap_max = -1, -4
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)


if __name__ == "__main__":
    keep_memory()
    preset, backend, *flags = sys.argv[1:]
    how = Mode(**dict.fromkeys(flags, True))
    if how.cpu:  # before a framework counts the cores
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps([asdict(row) for row in measure(preset, backend, how)]))
