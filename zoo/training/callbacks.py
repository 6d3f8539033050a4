"""Callbacks: progress bar, metrics in files, early stopping, a guard against NaN.

A callback is any object with the methods of `Callback`; `fit` calls all callbacks after
every step, in order. None of them imports a framework.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import (
    ConfigError,
    FileError,
    InputError,
    MissingPackageError,
    TrainingDiverged,
)
from ..registry import get_backend
from ..spec.recipe import MONITORS
from ..spec.tracing import has_nan
from .history import Run
from .progress import Best
from .rows import Row, json_line

_REDRAW = 0.1  # seconds between two pictures of the progress bar


class Callback:
    """Base of all callbacks: every method does nothing."""

    def begin(self, run: Run) -> None:
        """Called before the first step; of a resumed run, `run.step` is not 0."""

    def trained(self, run: Run, row: Row) -> None:
        """Called after every training step with its row of metrics."""

    def evaluated(self, run: Run, row: Row) -> None:
        """Called after every evaluation with its row of metrics."""

    def end(self, run: Run) -> None:
        """Called at the end, also after an error."""

    def state(self) -> dict[str, Any]:
        """Return what this callback needs in order to continue: JSON values."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""


class ProgressBar(Callback):
    """Shows steps, loss, accuracy and steps per second on stderr while training.

    The bar disappears at the end. If stderr is no terminal, nothing is shown.
    """

    _bar: Any = None

    def begin(self, run: Run) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        console = Console(stderr=True)
        if not console.is_terminal:
            return
        words = TextColumn("{task.description}", markup=False)
        self._bar = Progress(
            *(MofNCompleteColumn(), BarColumn(24), words),
            console=console,
            transient=True,
            auto_refresh=False,  # no thread beside the training loop
            redirect_stdout=False,
        )
        self._bar.add_task("", total=run.steps, completed=run.step)
        self._loss = self._accuracy = ""
        self._drawn = -math.inf
        self._bar.start()

    def trained(self, run: Run, row: Row) -> None:
        if self._bar is None or time.monotonic() - self._drawn < _REDRAW:
            return
        self._drawn = time.monotonic()
        self._loss = f"loss {row['loss']:.4f}"
        self._draw(run)

    def evaluated(self, run: Run, row: Row) -> None:
        if self._bar is not None and "accuracy" in row:
            self._accuracy = f"{row['split']} accuracy {row['accuracy']:.4f}"
            self._draw(run)

    def _draw(self, run: Run) -> None:
        [task] = self._bar.tasks
        speed = f"{task.speed:,.1f} steps/s" if task.speed else ""
        text = "  ".join(filter(None, (self._loss, self._accuracy, speed)))
        self._bar.update(task.id, completed=run.step, description=text, refresh=True)

    def end(self, run: Run) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class JSONLines(Callback):
    """Appends every row to a file as one JSON object, flushed after each.

    Args:
        path: of the file; its folder is made if there is none. A last line that a
            killed run left unfinished is removed.

    Raises:
        FileError: for a path that cannot be written.
    """

    _file: Any = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def begin(self, run: Run) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab+")
        except OSError as error:
            raise FileError(f"cannot write {self.path}: {error.strerror}.") from None
        self._file.seek(0)
        self._file.truncate(self._file.read().rfind(b"\n") + 1)

    def trained(self, run: Run, row: Row) -> None:
        self._file.write(json_line(row).encode())
        self._file.flush()

    evaluated = trained

    def end(self, run: Run) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class TensorBoard(Callback):
    """Writes event files for TensorBoard: `train/loss`, `test/accuracy` and so on.

    Args:
        folder: for the files; `tensorboard --logdir FOLDER` shows them. A resumed run
            writes another file, whose steps replace those that it repeats.

    Raises:
        MissingPackageError: where tensorboardX is not installed.
        FileError: for a folder that cannot be written.
    """

    _writer: Any = None

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        _tensorboardx()  # or the error, before any work is done

    def begin(self, run: Run) -> None:
        # tensorboardX names files by the second: two of the same name would collide.
        suffix = f".{time.time_ns()}"
        try:
            self._writer = _tensorboardx().SummaryWriter(
                str(self.folder),
                purge_step=run.step + 1 if run.step else None,
                flush_secs=5,
                filename_suffix=suffix,
            )
        except OSError as error:
            raise FileError(f"cannot write {self.folder}: {error.strerror}.") from None

    def trained(self, run: Run, row: Row) -> None:
        for name, value in row.items():
            if name not in ("step", "epoch") and not isinstance(value, str):
                self._writer.add_scalar(f"{row['split']}/{name}", value, row["step"])

    evaluated = trained

    def end(self, run: Run) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _tensorboardx() -> Any:
    try:
        with _hidden("torch"):
            import tensorboardX
    except ModuleNotFoundError as error:
        if error.name != "tensorboardX":
            raise
        raise MissingPackageError(
            "TensorBoard event files need tensorboardX, which is not installed: in a"
            " checkout of zoo, run pip install '.[tensorboard]'."
        ) from None
    return tensorboardX


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let imports of a module fail: tensorboardX imports PyTorch if it can.

    That would cost a run in another framework seconds and hundreds of megabytes.
    """
    if name in sys.modules:
        yield
        return
    hidden: dict[str, Any] = sys.modules  # None is Python's mark for "not to be found"
    hidden[name] = None
    try:
        yield
    finally:
        del hidden[name]


class EarlyStopping(Callback):
    """Stops the run when a metric of the evaluations no longer improves.

    Args:
        monitor: the metric: a name in the rows of evaluations.
        patience: how many evaluations in a row without improvement stop the run, as
            in Keras and PyTorch Lightning. NaN is never an improvement.
        min_delta: an improvement is larger than this.
        mode: "min" or "max", whichever is better; None: by the metric's name.

    Raises:
        ConfigError: for a metric of an unknown name without `mode`, or for values out
            of range.
        InputError: at an evaluation without this metric.
    """

    def __init__(
        self,
        monitor: str = "loss",
        *,
        patience: int,
        min_delta: float = 0.0,
        mode: str | None = None,
    ) -> None:
        signs = {"min": -1, "max": 1}
        if mode is None and monitor not in MONITORS:
            raise ConfigError(f"mode must be min or max for {monitor!r}; got None.")
        if mode is not None and mode not in signs:
            raise ConfigError(f"mode must be min or max; got {mode!r}.")
        if type(patience) is not int or patience < 1:
            wanted = "a whole number, at least 1"
            raise ConfigError(f"patience must be {wanted}; got {patience!r}.")
        if not (math.isfinite(min_delta) and min_delta >= 0):
            raise ConfigError(f"min_delta must be 0 or more; got {min_delta!r}.")
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        sign = MONITORS[monitor] if mode is None else signs[mode]
        self._best = Best(sign, min_delta)

    @property
    def best(self) -> float | None:
        """The best value so far."""
        return self._best.value

    @property
    def bad(self) -> int:
        """How many evaluations have passed since then."""
        return self._best.bad

    @property
    def exhausted(self) -> bool:
        """Whether `patience` evaluations have passed without improvement."""
        return self.bad >= self.patience

    def begin(self, run: Run) -> None:
        if not run.step:  # a new run, not a resumed one
            self._best.value, self._best.bad = None, 0

    def evaluated(self, run: Run, row: Row) -> None:
        if self.monitor not in row:
            raise InputError(
                f"early stopping watches {self.monitor!r}, which this evaluation has"
                f" not; it has {', '.join(row)}."
            )
        self._best.improved(float(row[self.monitor]))
        if self.exhausted:
            best = "none was finite" if self.best is None else f"best {self.best:.6g}"
            run.stop(
                f"{self.monitor} did not improve in {self.bad} evaluations ({best})"
            )

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "bad": self.bad}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._best.value, self._best.bad = state.get("best"), state.get("bad", 0)


class LRLogger(Callback):
    """Keeps the learning rate of every step: `rates` is a list of (step, rate)."""

    def __init__(self) -> None:
        self.rates: list[tuple[int, float]] = []

    def begin(self, run: Run) -> None:
        self.rates = [(step, lr) for step, lr in self.rates if step <= run.step]

    def trained(self, run: Run, row: Row) -> None:
        self.rates.append((row["step"], row["lr"]))


class NaNGuard(Callback):
    """Stops the run when the training loss is not finite, and finds the layer.

    A step with such a loss changes no weight. Therefore the guard runs the batch once
    more (without dropout, in the model's own dtype) and names the first layer whose
    output is not finite.

    Raises:
        TrainingDiverged: with the step, the layer, and the last checkpoint.
    """

    def trained(self, run: Run, row: Row) -> None:
        if math.isfinite(row["loss"]):
            return
        checkpoint = run.last_checkpoint or "none"
        raise TrainingDiverged(
            f"the training loss is {row['loss']} at step {row['step']}:"
            f" {self._where(run)} (last good checkpoint: {checkpoint})."
        )

    def _where(self, run: Run) -> str:
        batch, model = run.batch, run.model
        assert batch is not None  # a step has been done
        for name, arrays in (("inputs", batch.inputs), ("targets", (batch.targets,))):
            if has_nan(arrays):
                return f"the {name} of this batch hold NaN or infinity"
        backend = get_backend(model)
        for call in backend.trace(model, batch.inputs, training=True):
            if has_nan(call.own):
                layer = f"{call.name!r} ({call.kind})" if call.name else "the model"
                return (
                    f"the first output that is not finite is that of {layer}; a lower"
                    " learning rate or clip_norm may help"
                )
        return (
            f"all layers' outputs are finite in {backend.dtype_of(model)}, so it arose"
            " in the loss, or in a lower precision"
        )
