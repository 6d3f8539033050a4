"""The work of a cell's own process: imports, builds, proves, times, trains.

Every method takes and returns JSON values; only `prove` returns arrays. `begin` imports
the framework, so that the import can be timed.
"""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from .. import data as datasets
from ..configs._base import Config
from ..data.samples import sample_inputs
from ..errors import ConfigError
from ..models import build, example_targets
from ..registry import TITLES, config_from_key, get_backend
from ..spec.batch import Batch, split
from ..spec.recipe import Recipe
from ..training.callbacks import Callback
from ..training.fit import fit
from ..training.history import Run
from ..training.rows import Row
from . import modes
from .machine import host

PROOF_BATCH = 8  # with fewer, GoogLeNet's tiny maps amplify rounding
# Learning rate of the proof's one SGD step. It is so large that the old weight hardly
# counts and the new one holds the gradient; a power of two divides without rounding.
PROOF_RATE = 2.0**20
MATMUL = 1024  # rows and columns of the product that measures the machine
_PEAK = "VmHWM:"


class Bench:
    """One cell.

    Args:
        architecture, config: as in run.json.
        backend, mode: the column.
        seed: of the weights and of the recipe.
        threads: how many the framework may use.
        data: name of a data set, or None.
        recipe: of a training step, and of the training run, as JSON.
        device: as in `build`.
    """

    def __init__(
        self,
        architecture: str,
        config: dict[str, Any],
        backend: str,
        mode: str,
        seed: int,
        threads: int,
        data: str | None,
        recipe: str,
        device: str,
    ) -> None:
        self.config: Config = config_from_key(architecture, config)
        self.backend, self.seed, self.threads, self.data = backend, seed, threads, data
        self.mode = modes.find(backend, mode)
        self.recipe = Recipe.from_json(recipe).override(seed=seed)
        self.device = device
        self.model: Any = None
        self._calls: dict[str, tuple[int, Callable[[], Any]]] = {}
        self._trainer: Any = None

    def begin(self) -> dict[str, Any]:
        """Import the framework and make the settings that all cells share."""
        begin = perf_counter()
        self.package: Any = get_backend(self.backend)
        seconds = perf_counter() - begin
        settings = {"framework": TITLES[self.backend], "mode": self.mode.title}
        settings |= self._settle()
        return {"import_s": seconds, "settings": settings, "host": host()}

    def _settle(self) -> dict[str, Any]:
        settings = self.package.settle(self.threads)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        return {"cores pinned": cores} | settings | {"device": self.device}

    def build(self) -> dict[str, Any]:
        """Build the model; return the seconds that took, and its parameters."""
        begin = perf_counter()
        self.model = self._built(self.config, self._dtype)
        seconds = perf_counter() - begin
        names = self.package.trainable(self.model)
        shapes = self.package.shapes(self.model)
        count = sum(int(np.prod(shapes[n])) for n in names)
        return {"build_s": seconds, "parameters": count}

    def file(self) -> dict[str, Any]:
        """Return the size of the framework's own file of the model.

        Asked last: to write the file, Keras imports TensorFlow on any engine.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ("model.keras" if self.backend == "tf" else "model")
            self.package.save_native(self.model, path)
            return {"file_bytes": path.stat().st_size}

    @property
    def _dtype(self) -> str:
        return "float64" if self.recipe.precision == "float64" else "float32"

    def _built(self, config: Config, dtype: str) -> Any:
        options = {"dtype": dtype, "device": self.device}
        model = build(config, self.backend, seed=self.seed, **options)
        return self.package.arrange(model, self.mode.channels_last)

    # the proof

    def prove(self, dtype: str, inputs_seed: int) -> dict[str, np.ndarray]:
        """Return what this column computes from the given inputs.

        These are the outputs in eval mode, and of one SGD step the loss, each weight's
        update and the buffers, all compiled as they are timed. Dropout is off: masks
        differ between frameworks.
        """
        config = self.config
        if hasattr(config, "dropout"):
            config = config.override(dropout=0.0)
        model = self._built(config, dtype)
        inputs = sample_inputs(config, PROOF_BATCH, inputs_seed)
        call = self.package.inference(model, inputs, self.mode.compile)
        outputs = self.package.outside(call())
        loss_name = self.recipe.loss_for(self.config)
        targets = example_targets(outputs.shape, inputs_seed)[loss_name]
        before = {k: a.copy() for k, a in self.package.read(model).items()}
        names = self.package.trainable(model)
        sgd = Recipe(optimizer="sgd", lr=PROOF_RATE)
        trainer = self.package.Trainer(model, sgd, loss_name, self.mode.compile)
        loss, _ = trainer.step([Batch(inputs, targets)], PROOF_RATE, [0])
        trainer.sync()
        after = self.package.read(model)
        trainer.close()
        arrays = {"forward": outputs, "loss": np.float64(loss)}
        for name, array in after.items():
            if name in names:
                step = (before[name] - array) / array.dtype.type(PROOF_RATE)
                arrays[f"update/{name}"] = step
            else:
                arrays[f"buffers/{name}"] = array
        return {k: np.array(v) for k, v in arrays.items()}

    # the clock

    def first(self, what: str, batch: int) -> dict[str, Any]:
        """Make a step ready, and call it three times.

        Returns the seconds of the first call (which compiles) and of the third, and
        this process's peak memory so far.
        """
        self._calls.pop(what, None)
        prepare = {"inference": self._inference, "training": self._training}[what]
        examples = self._batch(batch)
        begin = perf_counter()
        call = prepare(examples)
        call()
        seconds = perf_counter() - begin
        call()
        begin = perf_counter()
        call()
        self._calls[what] = batch, call
        return {
            "first_s": seconds,
            "call_s": perf_counter() - begin,
            "peak_bytes": peak_memory(),
        }

    def _batch(self, size: int) -> Batch:
        if self.data is not None:
            examples = self._dataset().train
            return examples.take(np.arange(size) % len(examples))
        inputs = sample_inputs(self.config, size, self.seed)
        outputs = self.package.forward(self.model, tuple(x[:1] for x in inputs))
        targets = example_targets((size, *outputs.shape[1:]), self.seed)  # by loss
        return Batch(inputs, targets[self.recipe.loss_for(self.config)])

    def _dataset(self) -> datasets.Dataset:
        assert self.data is not None
        loss = self.recipe.loss_for(self.config)
        return datasets.load(self.data, self.config, seed=self.seed, loss=loss)

    def _inference(self, batch: Batch) -> Callable[[], Any]:
        return self.package.inference(self.model, batch.inputs, self.mode.compile)

    def _training(self, batch: Batch) -> Callable[[], Any]:
        if self._trainer is None:
            loss = self.recipe.loss_for(self.config)
            self._calls.clear()
            self._trainer = self.package.Trainer(
                self.model, self.recipe, loss, self.mode.compile
            )
        parts, keys = split(batch, self.recipe.accumulate), itertools.count()
        # With so small a rate, hundreds of steps on one batch are the same work.
        return lambda: self._trainer.step(parts, 1e-9, [next(keys) for _ in parts])

    def burst(self, what: str, batch: int, calls: int) -> dict[str, Any]:
        """Return the median seconds of some calls, after one to warm the caches."""
        size, call = self._calls[what]
        if size != batch:
            raise ConfigError(f"batch {batch} is not ready; {size} is.")
        return {"seconds": _burst(call, calls)}

    def matmul(self, calls: int) -> dict[str, Any]:
        """Return the GFLOP/s of this framework's own large matrix product."""
        if "matmul" not in self._calls:
            self._calls["matmul"] = MATMUL, self.package.matmul(MATMUL, self.device)
        seconds = _burst(self._calls["matmul"][1], calls)
        return {"gflops": 2 * MATMUL**3 / seconds / 1e9}

    def profile(self, what: str, batch: int, folder: str) -> dict[str, Any]:
        """Return the operators that take longest; traces go into the folder."""
        _, call = self._calls[what]
        Path(folder).mkdir(parents=True, exist_ok=True)
        rows = self.package.profile(call, Path(folder))
        operators = [{"operator": n, "seconds": s, "calls": c} for n, s, c in rows]
        return {"operators": operators, "folder": folder}

    # training

    def train(self, target: float | None) -> dict[str, Any]:
        """Train from the seed by the recipe; return every loss and every evaluation."""
        if self._trainer is not None:
            self._trainer.close()
        self._calls.clear()
        dataset, clock = self._dataset(), _Clock()
        model = self._built(self.config, self._dtype)
        norms = self._gradient_norms(model) if self.mode.exact else None
        compiled = self.mode.compile
        history = fit(model, dataset, self.recipe, callbacks=[clock], compile=compiled)
        result: dict[str, Any] = {
            "losses": history.losses.tolist(),
            "evaluations": clock.rows,
            "seconds": history.seconds,
            "gradient_norms": norms,
        }
        measure = next((m for m in ("accuracy", "iou") if m in clock.rows[-1]), "loss")
        result |= {"measure": measure, measure: clock.rows[-1][measure]}
        if measure == "loss":  # a target is reached from below, as accuracy is
            target = None
        times = (r["seconds"] for r in clock.rows if r[measure] >= (target or 0))
        reached = None if target is None else next(times, None)
        return result | {"target": target, "seconds_to_target": reached}

    def _gradient_norms(self, model: Any) -> dict[str, float]:
        """Return the norm of each matrix's gradient before the first step."""
        loss = self.recipe.loss_for(self.config)
        batch = self._batch(self.recipe.batch_size)
        targets = {loss: batch.targets}
        backward = self.package.backward(model, batch.inputs, targets, loss)
        return {
            k: float(np.linalg.norm(g.astype(np.float64)))
            for k, g in backward.gradients.items()
            if g.ndim > 1
        }


class _Clock(Callback):
    """Keeps each evaluation with the seconds spent in training steps until then."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def evaluated(self, run: Run, row: Row) -> None:
        kept = {k: v for k, v in row.items() if k not in ("split", "epoch")}
        self.rows.append({**kept, "seconds": run.history.seconds})


def _burst(call: Callable[[], Any], calls: int) -> float:
    collecting = gc.isenabled()
    gc.disable()
    try:
        call()
        return statistics.median(_clocked(call) for _ in range(calls))
    finally:
        if collecting:
            gc.enable()


def _clocked(call: Callable[[], Any]) -> float:
    begin = perf_counter()
    call()
    return perf_counter() - begin


def peak_memory() -> int:
    """Return the most bytes that this process ever held in memory.

    `ru_maxrss` will not do: a process inherits it from the one that started it.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith(_PEAK)).split()[1]) * 1024
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
