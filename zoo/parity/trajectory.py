"""The rungs of training: do twins also train the same?

One step; a run from equal weights on equal batches; the run stopped half-way in each
backend and resumed in each other. All are walked in float64. The run is also walked in
float32, where it may drift up to `tolerance.CEILING32`: a ReLU whose input is within
rounding of 0 may be active in one framework only, and no tolerance separates that from
a mistake. The float64 run is the proof.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..backend import Model, State, Trainer
from ..configs._base import Config
from ..errors import ConfigError
from ..models import Inputs, as_inputs, build, example_inputs, example_targets
from ..registry import get_backend
from ..spec import masks
from ..spec.batch import Batch, split
from ..spec.recipe import DECOUPLED, Recipe
from .report import Divergence, Report, Rung
from .subjects import Subjects
from .tolerance import (
    BLIND,
    CEILING32,
    FLOAT64,
    TRAJECTORY64,
    Error,
    compare,
    worst,
)

TRAINING_RUNGS = ("one step", "steps", "resume elsewhere")
RECIPE = Recipe(
    optimizer="momentum",
    lr=0.01,
    weight_decay=0.01,
    decay_all=False,
    schedule="warmup_cosine",
    clip_norm=1.0,
    deterministic_dropout=True,
)
# These divide a gradient by its own size, so rounding alone can move a weight.
_NORMALISING = ("adam", "adamw", "rmsprop", "adagrad", "nadam", "lion")


class Track(NamedTuple):
    """The results of a run."""

    losses: np.ndarray
    outputs: np.ndarray  # in eval mode, at the end
    first: State  # weights, buffers, slots after one step
    half: tuple[State, State]  # weights with buffers, and slots, half-way
    last: State  # as `first`, at the end


@dataclass(frozen=True)
class Options:
    """Options of a walk.

    Args:
        draw: returns the inputs of a batch for its number.
        recipe: how to train; its precision and its data are ignored.
        steps: length of the run.
        dtypes: "float64" and "float32".
        progress: called with a short text as each run begins.
    """

    draw: Callable[[int], Inputs]
    recipe: Recipe = RECIPE
    steps: int = 50
    dtypes: Sequence[str] = ("float64", "float32")
    progress: Callable[[str], object] = lambda text: None

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ConfigError(
                f"steps must be at least 2, to stop half-way; got {self.steps}."
            )


def walk(report: Report, subjects: Subjects, options: Options) -> None:
    """Walk the rungs over models as they are, and add them to the report.

    Args:
        report: gets the rungs, the models that are missing, and the first divergence.
        subjects: the models, which are not changed.
        options: of the walk.
    """
    for dtype in options.dtypes:
        with ExitStack() as stack:
            every = subjects.models
            exact = subjects.exact(stack, every, dtype, report.missing)
            if len(exact) > 1:
                _Proof(report, subjects, exact, options).walk(dtype)


def losses(
    config: Config,
    backends: Sequence[str],
    *,
    recipe: Recipe,
    steps: int,
    dtype: str = "float32",
    seed: int = 0,
    batch: int = 8,
) -> dict[str, np.ndarray]:
    """Return the loss of every step in each backend, (steps,), from equal weights."""
    curves = {}
    targets: dict[int, np.ndarray] = {}
    for backend in backends:
        model = build(config, backend, seed=seed, dtype=dtype)
        package = get_backend(backend)
        trainer = package.Trainer(model, recipe, config.loss, False)
        values = []
        for number, lr in enumerate(recipe.curve(steps)):
            inputs = as_inputs(config, example_inputs(config, batch, seed + number))
            if number not in targets:
                shape = (batch, *package.forward(model, inputs).shape[1:])
                targets[number] = example_targets(shape, seed + number)[config.loss]
            key = masks.step_key(recipe.seed, number + 1, 0)
            part = Batch(inputs, targets[number])
            values.append(trainer.step([part], float(lr), [key])[0])
        trainer.close()
        curves[backend] = np.array(values)
    return curves


class _Proof:
    """The walk in one dtype."""

    def __init__(
        self,
        report: Report,
        subjects: Subjects,
        models: Mapping[str, Model],
        options: Options,
    ) -> None:
        self.report, self.backends, self.models = report, subjects.backends, models
        self.steps, self.progress = options.steps, options.progress
        self.loss, recipe = subjects.config.loss, options.recipe
        self.reference = next(iter(models))
        self.batches = self._batches(subjects.config, options.draw)
        frozen, self.uncertain = self._blind()
        # "auto": the models already have the dtype of this walk
        freeze = (*recipe.freeze, *frozen)
        self.recipe = recipe.override(precision="auto", freeze=freeze)
        self.note = ""
        if frozen:
            names = _few(frozen)
            self.note = f"frozen, as the loss does not depend on them: {names}"
        if recipe.optimizer not in _NORMALISING:
            self.uncertain = ()
        if self.uncertain:
            names = _few(self.uncertain)
            self.note += "; " * bool(self.note)
            self.note += f"compared through loss and outputs alone: {names}"
        self.curve = recipe.curve(self.steps)

    def _batches(self, config: Config, draw: Callable[[int], Inputs]) -> list[Batch]:
        """Return the batch of every step."""
        backend, model = self.backends[self.reference], self.models[self.reference]
        batches = []
        shape = None
        for number in range(self.steps):
            inputs = as_inputs(config, draw(number))
            shape = shape or backend.forward(model, inputs).shape
            batches.append(Batch(inputs, example_targets(shape, number)[self.loss]))
        return batches

    def _blind(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the weights that the loss does not depend on: wholly, and in part.

        Such as a convolution's bias before batch norm, or the keys' bias of attention:
        their gradients are only rounding. See `tolerance.BLIND`.
        """
        backend, model = self.backends[self.reference], self.models[self.reference]
        inputs, targets = self.batches[0]
        result = backend.backward(model, inputs, {self.loss: targets}, self.loss)
        sizes = {n: np.abs(g) for n, g in result.gradients.items()}
        rounding = BLIND * max(float(s.max(initial=0)) for s in sizes.values())
        wholly = tuple(n for n, s in sizes.items() if s.max(initial=0) <= rounding)
        partly = tuple(
            n
            for n, s in sizes.items()
            if n not in wholly and ((s > 0) & (s <= rounding)).any()
        )
        return wholly, partly

    def walk(self, dtype: str) -> None:
        """Train every model, compare the runs, and add the rungs to the report."""
        tracks: dict[str, Track] = {}
        trainers: dict[str, Trainer] = {}
        for label, model in self.models.items():
            self.progress(f"{dtype} training in {label}")
            backend = self.backends[label]
            start = {k: np.array(v) for k, v in backend.read(model).items()}
            trainers[label] = backend.Trainer(model, self.recipe, self.loss, False)
            try:
                tracks[label] = self._run(label, trainers[label])
                if dtype == "float64":
                    continue
            finally:
                if dtype != "float64":
                    trainers[label].close()
                backend.write(model, start)
        wanted = tracks[self.reference]
        for label, track in tracks.items():
            if dtype == "float64":
                first = self._differences(track.first, wanted.first)
                self._add("one step", dtype, label, first, FLOAT64)
        for label, track in tracks.items():
            bound = TRAJECTORY64 if dtype == "float64" else CEILING32
            errors = self._errors(track, wanted, dtype)
            self._add("steps", dtype, label, errors, bound)
        if dtype == "float64":
            self._resume(tracks, trainers)

    def _run(self, label: str, trainer: Trainer) -> Track:
        """Train one model for all steps."""
        losses: list[float] = []
        first: State = {}
        half: tuple[State, State] = ({}, {})
        for number in range(self.steps):
            losses.append(self._step(trainer, number))
            if number == 0:
                first = self._everything(label, trainer)
            if number + 1 == self.steps // 2:
                half = self._state(label, trainer)
        last = self._everything(label, trainer)
        return Track(np.array(losses), self._outputs(label), first, half, last)

    def _step(self, trainer: Trainer, number: int) -> float:
        parts = split(self.batches[number], self.recipe.accumulate)
        seed = self.recipe.seed
        keys = [masks.step_key(seed, number + 1, i) for i in range(len(parts))]
        return trainer.step(parts, float(self.curve[number]), keys)[0]

    def _outputs(self, label: str) -> np.ndarray:
        inputs = self.batches[-1].inputs
        return self.backends[label].forward(self.models[label], inputs)

    def _state(self, label: str, trainer: Trainer) -> tuple[State, State]:
        """Return copies of the weights with buffers, and the optimizer's slots."""
        trainer.sync()
        weights = self.backends[label].read(self.models[label])
        return {k: np.array(v) for k, v in weights.items()}, trainer.slots()

    def _everything(self, label: str, trainer: Trainer) -> State:
        """Return weights, buffers and slots together."""
        weights, slots = self._state(label, trainer)
        arrays = {k: np.atleast_1d(v) for k, v in slots.items() if k != "step"}
        return {**weights, **arrays}

    def _differences(self, ours: State, reference: State) -> list[Error]:
        """Compare weights, then each kind of slot, each with a scale of its own."""
        kinds = dict.fromkeys(k.rpartition("/")[0] for k in [*reference, *ours])
        errors = []
        for kind in kinds:
            pair = [
                {
                    k: v
                    for k, v in state.items()
                    if k.rpartition("/")[0] == kind
                    and k.rpartition("/")[2] not in self.uncertain
                }
                for state in (ours, reference)
            ]
            errors += compare(*pair)
        return errors

    def _errors(self, track: Track, wanted: Track, dtype: str) -> list[Error]:
        """Return the errors of a run: in float32 of its losses, in float64 of all."""
        errors = []
        gaps = np.abs(track.losses - wanted.losses)
        scale = max(float(np.abs(wanted.losses).max()), 1e-3)
        step = int(np.argmax(gaps))
        finite = bool(np.isfinite(gaps).all())
        gap = float(gaps[step]) / scale if finite else np.inf
        errors.append(Error(gap, f"loss of step {step + 1}"))
        if dtype == "float64":
            errors += compare({"outputs": track.outputs}, {"outputs": wanted.outputs})
            errors += self._differences(track.last, wanted.last)
        return errors

    def _resume(
        self, tracks: Mapping[str, Track], trainers: Mapping[str, Trainer]
    ) -> None:
        """Resume every model's half-way state in every backend; add the rungs."""
        wanted = tracks[self.reference]
        for label, trainer in trainers.items():
            backend, model = self.backends[label], self.models[label]
            start = {k: np.array(v) for k, v in backend.read(model).items()}
            errors: list[Error] = []
            try:
                for source, track in tracks.items():
                    self.progress(f"resuming in {label} from {source}")
                    backend.write(model, track.half[0])
                    trainer.restore(track.half[1])
                    tail = range(self.steps // 2, self.steps)
                    losses = [self._step(trainer, number) for number in tail]
                    last = self._everything(label, trainer)
                    head = track.losses[: self.steps // 2]
                    resumed = track._replace(
                        losses=np.concatenate((head, losses)),
                        outputs=self._outputs(label),
                        last=last,
                    )
                    errors += [
                        Error(e.error, f"{e.where}, from {source}")
                        for e in self._errors(resumed, wanted, "float64")
                    ]
            finally:
                trainer.close()
                backend.write(model, start)
            self._add("resume elsewhere", "float64", label, errors, TRAJECTORY64)

    def _add(
        self, name: str, dtype: str, label: str, errors: list[Error], bound: float
    ) -> None:
        """Add a rung to the report, and the first divergence."""
        error, where = worst(errors)
        ok = error <= bound
        note = self.note if name == "steps" else ""
        report = self.report
        report.rungs.append(Rung(name, dtype, label, ok, error, bound, where, note))
        if not ok and report.first_divergence is None:
            first = next(e for e in errors if e.error > bound)
            cause = _cause(name, first.where, self.recipe)
            report.first_divergence = Divergence(
                name, dtype, label, first.where, cause, first.error
            )


def _few(names: Sequence[str]) -> str:
    """Return the first three names, and the number of the others."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _cause(rung: str, where: str, recipe: Recipe) -> str | None:
    """Return where to look, from the first tensor that differs."""
    slot, slash, _ = where.partition("/")
    if rung == "resume elsewhere":
        return "the state of the optimizer, or a buffer, was not carried over"
    if slash:
        return f"the {recipe.optimizer} slot {slot}: its decay, or what feeds it"
    if rung != "one step":
        return "equal after one step: a schedule, a bias correction, a buffer"
    if "running_" in where:
        return "BatchNorm's running statistics"
    if recipe.weight_decay:
        kind = "decoupled" if recipe.optimizer in DECOUPLED else "L2"
        return f"{recipe.optimizer}'s formula, its epsilon, or {kind} decay"
    return f"{recipe.optimizer}'s formula or its epsilon"
