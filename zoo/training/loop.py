"""The training loop: batches, learning rate, evaluation, checkpoints, for any model.

A backend provides only its `Trainer`, whose `step` updates the weights. All else is in
this module: so a run is the same in every framework, and any of them can continue it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import Model
from ..data import Dataset
from ..data.batches import Batches
from ..errors import ConfigError, FileError, InputError, TrainingDiverged
from ..files.weights import state
from ..models import as_inputs
from ..registry import backend_of, get_backend
from ..spec import masks
from ..spec.batch import Batch, check_shares, split
from ..spec.recipe import Recipe
from .callbacks import Callback, EarlyStopping
from .evaluation import evaluate_on
from .folder import Checkpoint, RunFolder
from .history import History, Run
from .progress import Progress


@dataclass(frozen=True)
class Options:
    """How a run is carried out; no option changes what the model learns.

    Args:
        callbacks: called after every step and every evaluation, in this order.
        stopper: the callback, if any, whose end of the run is final: once it has
            stopped a run, resuming does not train on.
        folder: where checkpoints are written; None: nowhere.
        checkpoint_every: steps from one checkpoint to the next; None: at each
            evaluation.
        keep: how many of the last checkpoints stay, beside the best.
        compile, parallel: as in `fit`.
        first: whether this is the first of several processes, which alone writes.
        evaluate: whether to evaluate the model at the recipe's intervals.
    """

    callbacks: Sequence[Callback] = ()
    stopper: EarlyStopping | None = None
    folder: RunFolder | None = None
    checkpoint_every: int | None = None
    keep: int = 3
    compile: bool = False
    parallel: bool = False
    first: bool = True
    evaluate: bool = True


class Loop:
    """One run: all of its state, and the order in which things happen."""

    def __init__(
        self, model: Model, data: Dataset, recipe: Recipe, options: Options
    ) -> None:
        self.model, self.data, self.recipe, self.options = model, data, recipe, options
        self.backend, self.loss = get_backend(model), recipe.loss_for(model.config)
        self.batches = Batches(
            data.train, recipe.batch_size, seed=recipe.seed, augment=recipe.augment
        )
        steps = recipe.length(self.batches.steps_per_epoch)
        self.evaluate_every = recipe.evaluate_every or self.batches.steps_per_epoch
        self.rates = recipe.curve(steps)
        self.trainer = self.backend.Trainer(
            model, recipe, self.loss, options.compile, options.parallel
        )
        self.run = Run(self.trainer, model, data, recipe, steps)
        self.run.folder = options.folder.path if options.folder else None
        self.progress = Progress(recipe)

    def train(self, checkpoint: Checkpoint | None = None) -> History:
        """Train to the last step; start from a checkpoint if there is one."""
        run = self.run
        with ExitStack() as stack:
            stack.callback(self.trainer.close)
            stack.callback(self.trainer.sync)
            check_shares(self._smallest_part(), self.trainer.fewest)
            self._check_norms()
            if checkpoint is not None:
                self._restore(checkpoint)
            for callback in self.options.callbacks:
                stack.callback(callback.end, run)
                callback.begin(run)
            stream = self.batches.stream(run.step, run.steps)
            stack.callback(stream.close)
            for batch in stream:
                if self._stopped():
                    break
                self._step(batch)
                evaluated, better = self._evaluate()
                every = self.options.checkpoint_every
                if better or (run.step % every == 0 if every else evaluated):
                    self._save()
            self._save()
            self.trainer.lead([0.0])  # all wait until the first has written
            if self.recipe.ema is not None:
                with self.trainer.averaged():
                    run.history.average = state(self.model)
        return run.history

    # Checks before the first step.

    def _smallest_part(self) -> int:
        """Return how many examples the smallest part of any batch has."""
        size, epoch = self.batches.batch_size, self.batches.steps_per_epoch
        if self.run.steps >= epoch:  # the last batch of an epoch holds what is left
            size = len(self.data.train) - size * (epoch - 1)
        return size // min(size, self.recipe.accumulate)

    def _check_norms(self) -> None:
        """Refuse a part of one vector for batch norm, which has no variance then."""
        vectors = len(self.model.config.inputs()[0].shape) == 1
        norms = any(
            name.endswith("running_var") and not self.recipe.frozen(name)
            for name in self.backend.shapes(self.model)
        )
        if vectors and norms and self._smallest_part() < 2:
            raise InputError(
                "batch norm needs two examples, and some batch (or, with accumulate, a"
                " part of one) has one: choose another batch_size or accumulate."
            )

    def _checked(self, batch: Batch) -> Batch:
        """Return a batch with targets of the loss's dtype; refuse impossible ones."""
        if self.run.batch is None:  # once: all batches are alike
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

    # One step.

    def _stopped(self) -> bool:
        """Return whether to end now: of several processes the first one decides."""
        history = self.run.history
        stop = bool(self.trainer.lead([history.stopped is not None])[0])
        if not self.options.first:
            history.stopped = "the first process ended the run" if stop else None
        return stop

    def _step(self, batch: Batch) -> None:
        run, recipe = self.run, self.recipe
        begin = time.perf_counter()
        batch = self._checked(batch)
        parts = split(batch, recipe.accumulate)
        keys = [masks.step_key(recipe.seed, run.step + 1, i) for i in range(len(parts))]
        lr = float(self.rates[run.step]) * self.progress.factor
        run.batch = batch
        scale = self.progress.scale
        loss, finite = self.trainer.step(parts, lr, keys, scale.value)
        scale.update(finite)
        epoch = run.step // self.batches.steps_per_epoch
        run.step += 1
        run.history.seconds += time.perf_counter() - begin
        row = {"split": "train", "step": run.step, "epoch": epoch}
        self._call_back("trained", row | {"loss": loss, "lr": lr})

    def _call_back(self, event: str, row: dict[str, Any]) -> None:
        self.run.history.rows.append(row)
        for callback in self.options.callbacks:
            getattr(callback, event)(self.run, row)

    def _evaluate(self) -> tuple[bool, bool]:
        """Evaluate if it is time; return whether it was, and whether it is the best."""
        run, recipe = self.run, self.recipe
        due = run.step % self.evaluate_every == 0 or run.step == run.steps
        if not due or not self.options.evaluate:
            return False, False
        if not len(self.data.test):
            return True, False
        self.trainer.sync()
        with self.trainer.averaged():
            metrics = evaluate_on(self.model, self.data, self.data.test, self.loss)
        metrics = dict(zip(metrics, self.trainer.lead(list(metrics.values()))))
        epoch = (run.step - 1) // self.batches.steps_per_epoch
        row = {"split": "test", "step": run.step, "epoch": epoch, **metrics}
        better = self.progress.evaluated(row)
        if better:
            value = {"monitor": recipe.monitor, "value": row[recipe.monitor]}
            run.history.best = {"step": run.step, **value}
        self._call_back("evaluated", row)
        return True, better

    # Checkpoints.

    def _save(self) -> None:
        run, folder = self.run, self.options.folder
        if folder is None or run.last_checkpoint == folder.at(run.step):
            return
        if not self.options.first:
            run.last_checkpoint = folder.at(run.step)
            return
        progress = {
            "step": run.step,
            "epoch": run.step // self.batches.steps_per_epoch,
            "seed": self.recipe.seed,
            "backend": backend_of(self.model),
            **self.progress.to_json(),
            "best": run.history.best,
            "stopped": run.history.stopped,
            "callbacks": [
                [type(c).__name__, c.state()] for c in self.options.callbacks
            ],
        }
        self.trainer.sync()
        slots = self.trainer.slots()
        for name, array in self.backend.read(self.model).items():
            if not np.isfinite(array).all():
                raise TrainingDiverged(
                    f"{name} holds NaN or infinity after step {run.step}; the last good"
                    f" checkpoint: {run.last_checkpoint or 'none'}."
                )
        keep, every = self.options.keep, self.options.checkpoint_every
        run.last_checkpoint = folder.write(self.model, slots, progress, keep, every)

    def _restore(self, checkpoint: Checkpoint) -> None:
        folder = self.options.folder
        assert folder is not None
        run, progress = self.run, checkpoint.progress
        try:
            run.step = progress["step"]
            run.history.best = progress["best"]
            self.progress.restore(progress)
            self._restore_callbacks(progress["callbacks"])
            stopper = self.options.stopper
            if stopper is not None and stopper.exhausted:
                run.history.stopped = progress["stopped"]
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(
                f"{checkpoint.path / 'progress.json'} is damaged: {error}."
            ) from None
        if run.step > run.steps:
            raise ConfigError(
                f"the run is at step {run.step} already; its recipe ends at"
                f" {run.steps}."
            )
        self._check_slots(checkpoint)
        self.trainer.restore(checkpoint.slots)
        run.last_checkpoint = checkpoint.path
        if self.options.first:
            run.history.rows = folder.rewind(checkpoint)
        self.trainer.lead([0.0])  # the others wait for the rows of the first
        if not self.options.first:
            run.history.rows = folder.rows()

    def _restore_callbacks(self, states: Sequence[Any]) -> None:
        """Restore each callback from the first unused state of its class."""
        saved = [(str(name), dict(own)) for name, own in states]
        for callback in self.options.callbacks:
            names = [name for name, _ in saved]
            if (kind := type(callback).__name__) in names:
                callback.restore(saved.pop(names.index(kind))[1])

    def _check_slots(self, checkpoint: Checkpoint) -> None:
        """Refuse a checkpoint that lacks a moment of some weight."""
        slots, shapes = checkpoint.slots, self.backend.shapes(self.model)
        path = checkpoint.path / "optimizer.safetensors"
        kinds = self.recipe.slots if slots.get("step", 0) > 0 else ()
        learned = self.backend.trainable(self.model)
        for name in (n for n in shapes if n in learned and not self.recipe.frozen(n)):
            for kind in kinds:
                moment = slots.get(f"{kind}/{name}")
                if moment is None or moment.shape != tuple(shapes[name]):
                    got = "nothing" if moment is None else moment.shape
                    raise FileError(
                        f"{path} is damaged: {kind}/{name} must be {shapes[name]}; got"
                        f" {got}."
                    )
