"""The training loop: batches, learning rate, evaluation, checkpoints, for any model.

A room gives one thing, its `Trainer`, whose `step` updates the weights. All else is
here, once: so a run is the same run in every framework, and goes on in any of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import masks
from .backend import Model, State, Trainer
from .batch import Batch, Split, check_shares, split
from .batches import Batches
from .callbacks import Callback, EarlyStopping, JSONLines, NaNGuard
from .datasets import Dataset
from .errors import ConfigError, FileError, InputError, TrainingDiverged
from .metrics import Tally
from .models import as_inputs
from .recipe import MONITORS, Recipe
from .registry import backend_of, room_of
from .runs import Checkpoint, Folder
from .weights import state


@dataclass
class History:
    """What a run left: its rows, in order, and how it ended.

    Rows of training steps have `split` "train", `step`, `epoch`, `loss`, `lr`; rows of
    evaluations their own split, `step`, `epoch`, `loss` and the task's measures.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0  # in training steps alone, of this process
    stopped: str | None = None  # why it ended early
    best: dict[str, Any] | None = None  # {"step", "monitor", "value"}
    average: State | None = None  # with `ema`: what `zoo.load_state` takes

    @property
    def losses(self) -> np.ndarray:
        """The training loss of every step: (steps,), float64."""
        return np.array([r["loss"] for r in self.rows if r["split"] == "train"])

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The rows of the evaluations."""
        return [row for row in self.rows if row["split"] != "train"]


class Run:
    """A run in progress, as callbacks see it."""

    def __init__(
        self, trainer: Trainer, model: Model, data: Dataset, recipe: Recipe, steps: int
    ) -> None:
        self._trainer, self._model = trainer, model
        self.data, self.recipe, self.steps = data, recipe, steps
        self.step = 0  # done
        self.history = History()
        self.folder: Path | None = None
        self.batch: Batch | None = None  # the last one
        self.last_checkpoint: Path | None = None

    @property
    def model(self) -> Model:
        """The model, up to date."""
        self._trainer.sync()
        return self._model

    def stop(self, reason: str) -> None:
        """End the run after this step."""
        self.history.stopped = reason


class _Watch:
    """The best value of a metric yet, and how many evaluations ago it was."""

    def __init__(self, monitor: str, min_delta: float = 0.0) -> None:
        self.monitor, self.min_delta = monitor, min_delta
        self.best: float | None = None
        self.bad = 0

    def improved(self, row: dict[str, Any]) -> bool:
        value = row.get(self.monitor, math.nan)
        sign = MONITORS[self.monitor]
        better = math.isfinite(value) and (
            self.best is None or sign * value - self.min_delta > sign * self.best
        )
        self.best, self.bad = (value, 0) if better else (self.best, self.bad + 1)
        return better


class _Scale:
    """fp16's loss scale: halved at an overflow, doubled after 2,000 good steps."""

    interval, least = 2000, 2.0**-14

    def __init__(self, recipe: Recipe) -> None:
        self.on = recipe.precision == "fp16"
        self.value, self.good = 65536.0 if self.on else 1.0, 0

    def update(self, finite: bool) -> None:
        if not self.on:
            return
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.value /= 2
        elif self.good == self.interval:
            self.value, self.good = self.value * 2, 0
        if self.value < self.least:
            raise TrainingDiverged(
                f"fp16: gradients are not finite even with a loss scale of"
                f" {self.value:.1g}: try bf16, a lower learning rate or clip_norm."
            )


class Loop:
    """One run: all of its state, and the order in which things happen."""

    def __init__(
        self,
        model: Model,
        data: Dataset,
        recipe: Recipe,
        loss: str,
        callbacks: Sequence[Callback],
        folder: Folder | None,
        checkpoint_every: int | None,
        keep: int,
        compile: bool,
        parallel: bool = False,
        first: bool = True,
    ) -> None:
        self.model, self.data, self.recipe = model, data, recipe
        self.loss = loss
        self.folder, self.checkpoint_every, self.keep = folder, checkpoint_every, keep
        size = recipe.batch_size
        self.batches = Batches(
            data.train, size, seed=recipe.seed, augment=recipe.augment
        )
        steps = recipe.length(self.batches.steps_per_epoch)
        self.evaluate_every = recipe.evaluate_every or self.batches.steps_per_epoch
        self.rates = recipe.curve(steps)
        self.first = first  # of several processes: it alone writes and calls back
        self.trainer = room_of(model).Trainer(
            model, recipe, self.loss, compile, parallel
        )
        self.live = Run(self.trainer, model, data, recipe, steps)
        self.live.folder = folder.path if folder else None
        self.watch = _Watch(recipe.monitor)
        self.plateau, self.factor = _Watch(recipe.monitor, recipe.min_delta), 1.0
        self.scale = _Scale(recipe)
        self.stopper: EarlyStopping | None = None
        self.callbacks: list[Callback] = []
        if folder:
            self.callbacks.append(JSONLines(folder.metrics))
        if recipe.patience:
            self.stopper = EarlyStopping(
                recipe.monitor, patience=recipe.patience, min_delta=recipe.min_delta
            )
            self.callbacks.append(self.stopper)
        self.callbacks += callbacks
        self.callbacks = [*(self.callbacks if first else ()), NaNGuard()]

    def _least(self) -> int:
        """Return how many examples the smallest part of any batch has."""
        size, epoch = self.batches.batch_size, self.batches.steps_per_epoch
        if self.live.steps >= epoch:
            size = len(self.data.train) - size * (epoch - 1)
        return size // min(size, self.recipe.accumulate)

    def run(self, checkpoint: Checkpoint | None) -> History:
        """Train to the end; go on from a checkpoint if there is one."""
        live, history = self.live, self.live.history
        with ExitStack() as stack:
            stack.callback(self.trainer.close)
            stack.callback(self.trainer.sync)
            check_shares(self._least(), self.trainer.fewest)
            self._check_norms()
            if checkpoint is not None:
                self._restore(checkpoint)
            for callback in self.callbacks:
                stack.callback(callback.end, live)
                callback.begin(live)
            stream = self.batches.stream(live.step, live.steps)
            stack.callback(stream.close)
            for batch in stream:
                if self._stopped():
                    break
                self._step(batch)
                due, better = self._evaluate()
                every = self.checkpoint_every
                if better or (live.step % every == 0 if every else due):
                    self._save()
            self._save()
            self.trainer.lead([0.0])  # none returns before the first has written
            if self.recipe.ema is not None:
                with self.trainer.averaged():
                    history.average = state(self.model)
        return history

    def _check_norms(self) -> None:
        """Refuse a part of one vector for batch norm, which has no variance then."""
        vectors = len(self.model.config.inputs()[0].shape) == 1
        names = room_of(self.model).shapes(self.model)
        norms = any(
            n.endswith("running_var") and not self.recipe.frozen(n) for n in names
        )
        if vectors and norms and self._least() < 2:
            raise InputError(
                "batch norm needs two examples, and some batch (or, with accumulate, a"
                " part of one) has one: choose another batch_size or accumulate."
            )

    def _stopped(self) -> bool:
        """Return whether to end now: of several processes the first one says."""
        history = self.live.history
        stop = bool(self.trainer.lead([history.stopped is not None])[0])
        if not self.first:
            history.stopped = "the first process ended the run" if stop else None
        return stop

    def _step(self, batch: Batch) -> None:
        live, recipe = self.live, self.recipe
        begin = time.perf_counter()
        batch = self._checked(batch)
        parts = split(batch, recipe.accumulate)
        keys = [
            masks.step_key(recipe.seed, live.step + 1, i) for i in range(len(parts))
        ]
        lr = float(self.rates[live.step]) * self.factor
        live.batch = batch
        loss, finite = self.trainer.step(parts, lr, keys, self.scale.value)
        self.scale.update(finite)
        epoch = live.step // self.batches.steps_per_epoch
        live.step += 1
        live.history.seconds += time.perf_counter() - begin
        row = {"split": "train", "step": live.step, "epoch": epoch}
        self._tell("trained", row | {"loss": loss, "lr": lr})

    def _checked(self, batch: Batch) -> Batch:
        """Return a batch with targets of the loss's kind; refuse what cannot be."""
        if self.live.batch is None:  # once: all batches are alike
            as_inputs(self.model.config, batch.inputs)
        targets = np.asarray(batch.targets)
        if self.loss != "cross_entropy":
            if targets.dtype.kind not in "fiub":
                raise InputError(f"targets must be numbers; got {targets.dtype}.")
            if targets.dtype.kind != "f":
                batch = batch._replace(targets=targets.astype(np.float32))
            return batch
        if targets.dtype.kind not in "iu":
            raise InputError(f"cross_entropy needs ids; got {targets.dtype}.")
        config = self.model.config
        classes = getattr(config, "num_classes", getattr(config, "vocabulary", None))
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or (classes and high >= classes):
            raise InputError(
                f"ids must be in [0, {classes}); this batch has {low} to {high}."
            )
        return batch

    def _tell(self, event: str, row: dict[str, Any]) -> None:
        self.live.history.rows.append(row)
        for callback in self.callbacks:
            getattr(callback, event)(self.live, row)

    def _evaluate(self) -> tuple[bool, bool]:
        """Evaluate if it is time; return whether it was, and whether it is the best."""
        live, recipe = self.live, self.recipe
        if live.step % self.evaluate_every and live.step != live.steps:
            return False, False
        if not len(self.data.test):
            return True, False
        self.trainer.sync()
        with self.trainer.averaged():
            found = measure(self.model, self.data, self.data.test, self.loss)
        found = dict(zip(found, self.trainer.lead(list(found.values()))))
        epoch = (live.step - 1) // self.batches.steps_per_epoch
        row = {"split": "test", "step": live.step, "epoch": epoch, **found}
        better = self.watch.improved(row)
        if better:
            value = {"monitor": recipe.monitor, "value": row[recipe.monitor]}
            live.history.best = {"step": live.step, **value}
        self.plateau.improved(row)
        if recipe.schedule == "plateau" and self.plateau.bad > recipe.plateau_patience:
            self.plateau.bad = 0
            floor = recipe.min_lr / recipe.lr
            self.factor = max(self.factor * recipe.gamma, floor)
        self._tell("evaluated", row)
        return True, better

    def _save(self) -> None:
        live, folder = self.live, self.folder
        if folder is None or live.last_checkpoint == folder.at(live.step):
            return
        if not self.first:
            live.last_checkpoint = folder.at(live.step)
            return
        progress = {
            "step": live.step,
            "epoch": live.step // self.batches.steps_per_epoch,
            "seed": self.recipe.seed,
            "backend": backend_of(self.model),
            "lr_factor": self.factor,
            "loss_scale": [self.scale.value, self.scale.good],
            "plateau": [self.plateau.best, self.plateau.bad],
            "best": live.history.best,
            "stopped": live.history.stopped,
            "callbacks": [[type(c).__name__, c.state()] for c in self.callbacks],
        }
        self.trainer.sync()
        slots = self.trainer.slots()
        here = room_of(self.model)
        odd = [n for n, a in here.read(self.model).items() if not np.isfinite(a).all()]
        if odd:
            raise TrainingDiverged(
                f"{odd[0]} holds NaN or infinity after step {live.step}; the last good"
                f" checkpoint: {live.last_checkpoint or 'none'}."
            )
        path = folder.write(
            self.model, slots, progress, self.keep, self.checkpoint_every
        )
        live.last_checkpoint = path

    def _restore(self, checkpoint: Checkpoint) -> None:
        assert self.folder is not None
        live, progress = self.live, checkpoint.progress
        try:
            live.step = progress["step"]
            self.factor = progress["lr_factor"]
            self.scale.value, self.scale.good = progress["loss_scale"]
            self.plateau.best, self.plateau.bad = progress["plateau"]
            live.history.best = progress["best"]
            if live.history.best:
                self.watch.best = live.history.best["value"]
            saved = [(str(name), dict(found)) for name, found in progress["callbacks"]]
            for callback in self.callbacks:  # the first of its kind that is left
                names = [name for name, _ in saved]
                if (kind := type(callback).__name__) in names:
                    callback.restore(saved.pop(names.index(kind))[1])
            if self.stopper and self.stopper.bad >= self.stopper.patience:
                live.history.stopped = progress["stopped"]
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(
                f"{checkpoint.path / 'progress.json'} is damaged: {error}."
            ) from None
        if live.step > live.steps:
            raise ConfigError(
                f"the run is at step {live.step} already; its recipe ends at"
                f" {live.steps}."
            )
        self._check_slots(checkpoint)
        self.trainer.restore(checkpoint.slots)
        live.last_checkpoint = checkpoint.path
        if self.first:
            live.history.rows = self.folder.rewind(checkpoint)
        self.trainer.lead([0.0])  # the others read what the first has brought back
        if not self.first:
            live.history.rows = self.folder.rows()

    def _check_slots(self, checkpoint: Checkpoint) -> None:
        """Refuse a checkpoint that lacks a moment of some weight."""
        slots, here = checkpoint.slots, room_of(self.model)
        shapes, learned = here.shapes(self.model), here.trainable(self.model)
        path = checkpoint.path / "optimizer.safetensors"
        kinds = self.recipe.slots if slots.get("step", 0) > 0 else ()
        for name in (n for n in learned if not self.recipe.frozen(n)):
            for kind in kinds:
                found = slots.get(f"{kind}/{name}")
                if found is None or found.shape != tuple(shapes[name]):
                    got = "nothing" if found is None else found.shape
                    raise FileError(
                        f"{path} is damaged: {kind}/{name} must be {shapes[name]}; got"
                        f" {got}."
                    )


def measure(
    model: Model, data: Dataset, examples: Split, loss: str, batch_size: int = 256
) -> dict[str, float]:
    """Return loss and measures of the examples, in eval mode."""
    here, tally = room_of(model), Tally(data.task, loss)
    for start in range(0, len(examples), batch_size):
        stop = min(start + batch_size, len(examples))
        inputs, targets = examples.take(np.arange(start, stop))
        tally.add(here.forward(model, inputs), targets)
    return tally.result()
