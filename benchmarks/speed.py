"""Forward and training steps of five models in each backend against a plain peer.

Each model and backend has a fresh process, so that frameworks do not compete for
threads. Zoo and peer take turns inside it. All is float32. A training step is forward,
loss and gradients, without an optimizer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from .fresh import ChildError, run_module
from .paired import paired
from .report import Row

LIMIT = 1.03
# XLA's transposed convolution and max-pool are slow to train on a CPU; ours are not.
LIMITS = {("unet", "jax", "train"): 0.65}
SUFFIX = {"torch": "torch", "tf": "keras", "jax": "jax"}


class Mode(NamedTuple):
    """How to time: tiny and short, or by CPU time on one core of a busy machine."""

    quick: bool = False
    cpu: bool = False


@dataclass(frozen=True)
class Case:
    """The size at which a preset is timed: the batch, and one field of its config."""

    batch: int
    field: str
    size: int
    quick_size: int
    peer: str = "hand-written"
    backends: tuple[str, ...] = ("torch", "tf", "jax")


CASES = {
    "resnet18": Case(8, "image_size", 112, 64),
    "resnet50": Case(4, "image_size", 112, 64),
    "resnet50_v1": Case(4, "image_size", 112, 64, "keras.applications", ("tf",)),
    "unet": Case(4, "image_size", 96, 32),
    "sentiment_lstm": Case(32, "length", 64, 12),
    "vit": Case(8, "image_size", 32, 32),
}


def measure(name: str, backend: str, mode: Mode) -> Iterator[Row]:
    """Time one model against its peer, in this process."""
    import zoo

    case = CASES[name]
    calls: Any = import_module(f"{__package__}.calls_{SUFFIX[backend]}")
    peers = import_module(f"{__package__}.peers_{SUFFIX[backend]}").PEERS
    size, batch = (case.quick_size, 2) if mode.quick else (case.size, case.batch)
    config = zoo.config(name, **{case.field: size})
    ours = zoo.build(config, backend=backend)
    models = ours, peers[name](size)
    counts = [calls.count(model) for model in models]
    # torch's own LSTM has a second bias per gate, the twins have not.
    if abs(counts[0] - counts[1]) > 0.002 * counts[0]:
        raise AssertionError(f"zoo and peer are different networks: {counts}")

    x = calls.native(_example(config.inputs()[0], batch))
    effort: dict[str, Any] = {"seconds": 20, "least": 12, "cpu": mode.cpu}
    if mode.quick:
        effort |= {"seconds": 0, "least": 3}
    timed = [calls.forward(model, x) for model in models]
    logits, others = (call() for call in timed)
    if logits.shape != others.shape:
        raise AssertionError(f"logits {logits.shape} and {others.shape} differ")
    row = {"name": name, "backend": backend, "peer": case.peer, "parameters": counts}
    yield Row.of(paired(*timed, **effort), what="forward", limit=LIMIT, **row)

    y = calls.targets(logits, config.loss)
    timed = [calls.train_step(model, x, y, config.loss) for model in models]
    limit = LIMITS.get((name, backend, "train"), LIMIT)
    row["measure"] = "low" if limit == LIMIT else "ratio"
    yield Row.of(paired(*timed, **effort), what="train", limit=limit, **row)


def _example(spec: Any, batch: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    if spec.kind == "token":
        return rng.integers(0, spec.high, (batch, *spec.shape), np.int32)
    return rng.standard_normal((batch, *spec.shape), np.float32)


def rows(name: str, backend: str, mode: Mode) -> list[Row]:
    """Time one model in a fresh process; if that dies, return failed rows."""
    arguments = [name, backend, *(f for f in mode._fields if getattr(mode, f))]
    try:
        return [Row(**row) for row in run_module("speed", *arguments)]
    except ChildError as error:
        peer = CASES[name].peer
        return [
            Row(name=name, backend=backend, what=call, peer=peer, limit=LIMIT,
                error=str(error))
            for call in ("forward", "train")
        ]  # fmt: skip


if __name__ == "__main__":
    preset, backend, *flags = sys.argv[1:]
    how = Mode(**dict.fromkeys(flags, True))
    if how.cpu:  # before a framework counts the cores
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps([asdict(row) for row in measure(preset, backend, how)]))
