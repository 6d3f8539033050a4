"""The rungs of a model, from names to buffers, walked over twins as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from ..backend import Model, State
from ..models import Inputs, as_inputs, example_targets
from ..spec.initializers import initial_state
from .divergence import first_flip, locate
from .report import Divergence, Report, Rung
from .subjects import Subject, Subjects
from .tolerance import (
    FLIPPED,
    FLOAT64,
    REDRAWS,
    SHORT,
    Error,
    Results,
    calibrate,
    compare,
    worst,
)

MODEL_RUNGS = (
    "names",
    "shapes",
    "counts",
    "settings",
    "initial weights",
    "forward",
    "forward (train)",
    "loss",
    "gradients",
    "buffers",
)
_NUMERIC = MODEL_RUNGS[MODEL_RUNGS.index("forward") :]
TRAIN = MODEL_RUNGS[MODEL_RUNGS.index("forward (train)") :]
DTYPES = ("float64", "float32")
_FLOAT32_CAUSE = "float32 alone: float64 agrees, so it is an operator's precision"


@dataclass(frozen=True)
class Options:
    """Options of a walk.

    Args:
        draw: returns the models' inputs for a seed.
        seed: of the inputs.
        rungs: which of MODEL_RUNGS to walk.
        dtypes: which of DTYPES.
        fresh: the models must have the initial weights of this seed; None: those of
            the reference.
        progress: called with a short text as each step begins.
    """

    draw: Callable[[int], Inputs]
    seed: int = 0
    rungs: Sequence[str] = MODEL_RUNGS
    dtypes: Sequence[str] = DTYPES
    fresh: int | None = None
    progress: Callable[[str], object] = lambda text: None


class Ladder:
    """One walk over all models, which fills the report."""

    def __init__(self, report: Report, subjects: Subjects, options: Options) -> None:
        self.report, self.options = report, options
        self.config, self.models = subjects.config, subjects.models
        self.subjects, self.reference = subjects, subjects.reference
        self.backends = subjects.backends
        self.seed, self.progress = options.seed, options.progress
        self.rungs = [r for r in MODEL_RUNGS if r in options.rungs]
        self.dtypes = [d for d in DTYPES if d in options.dtypes]
        self.required = sum(not spec.optional for spec in self.config.inputs())

    def walk(self) -> list[str]:
        """Walk all rungs; return the labels of models with the same structure."""
        same = self._structure()
        numeric = [r for r in self.rungs if r in _NUMERIC]
        blocked = [r for r in self.rungs if r in ("initial weights", *_NUMERIC)]
        for label in self.models:
            if blocked and label not in same:
                reason = "names or shapes differ from the reference"
                self.report.missing.append(f"{label}: {', '.join(blocked)}: {reason}")
        if not numeric or len(same) < 2:
            return same
        doubles: dict[str, Results] = {}
        for dtype in self.dtypes:
            with ExitStack() as stack:
                exact = self._exact(stack, same, dtype)
                if len(exact) < 2 or self.reference not in exact:
                    return same
                results = self._run(exact, dtype, self.seed)
                if dtype == "float64":
                    doubles = results
                    self._float64(numeric, exact, results)
                else:
                    doubles = doubles or self._doubles(exact, self.seed)
                    self._float32(numeric, exact, doubles, results)
        return same

    def _exact(
        self, stack: ExitStack, labels: Iterable[str], dtype: str
    ) -> dict[str, Model]:
        """Return the models in this dtype; one that cannot be cast is missing."""
        return self.subjects.exact(stack, labels, dtype, self.report.missing)

    # the structural rungs

    def _add(
        self, rung: str, label: str, problem: str, cause: str | None = None
    ) -> None:
        """Add an exact rung; `problem` is the first name that differs, or ""."""
        if rung not in self.rungs:
            return
        ok = not problem
        self.report.rungs.append(Rung(rung, "", label, ok, float(not ok), 0.0, problem))
        if not ok:
            self._diverge(rung, "", label, problem, cause, 1.0)

    def _diverge(
        self,
        rung: str,
        dtype: str,
        label: str,
        where: str,
        cause: str | None,
        error: float,
    ) -> None:
        """Record a failed rung, if it is the first one."""
        if self.report.first_divergence is None:
            first = Divergence(rung, dtype, label, where, cause, error)
            self.report.first_divergence = first

    def _structure(self) -> list[str]:
        """Walk the exact rungs; return the labels of models with the same structure."""
        shapes = {k: self.backends[k].shapes(m) for k, m in self.models.items()}
        wanted = shapes[self.reference]
        first = self.backends[self.reference]
        self.report.parameters = sum(
            int(np.prod(wanted[n]))
            for n in first.trainable(self.models[self.reference])
        )
        for label, own in shapes.items():
            differ = [n for n in wanted if n not in own]
            differ += [n for n in own if n not in wanted]
            self._add("names", label, differ[0] if differ else "")
        for label, own in shapes.items():
            differ = [n for n in wanted if n in own and own[n] != tuple(wanted[n])]
            self._add("shapes", label, differ[0] if differ else "")
        for label, own in shapes.items():
            total = sum(int(np.prod(shape)) for shape in own.values())
            count = self.backends[label].count(self.models[label])
            self._add("counts", label, "" if count == total else f"{count} != {total}")
        self._settings()
        same = [k for k, own in shapes.items() if own == wanted]
        if "initial weights" in self.rungs:
            self._weights(same, wanted)
        return same

    def _settings(self) -> None:
        """Compare dropout rates and frozen weights, which no other rung shows."""
        settings = {}
        for label, model in self.models.items():
            backend = self.backends[label]
            learned = backend.trainable(model)
            learned = {n: "trainable" for n in backend.shapes(model) if n in learned}
            settings[label] = {**learned, **backend.dropouts(model)}
        wanted = settings[self.reference]
        for label, ours in settings.items():
            names = [*wanted, *(n for n in ours if n not in wanted)]
            differ = [n for n in names if ours.get(n) != wanted.get(n)]
            where, cause = differ[0] if differ else "", None
            if differ:
                cause = f"{wanted.get(where, 'none')} against {ours.get(where, 'none')}"
            self._add("settings", label, where, cause)

    def _weights(self, same: list[str], shapes: dict[str, tuple[int, ...]]) -> None:
        """Compare the bits of the weights with the seed's, or with the reference's."""
        self.progress("initial weights")
        expected: State
        if self.options.fresh is not None:
            expected = initial_state(self.config, shapes, self.options.fresh)
        else:
            expected = self.backends[self.reference].read(self.models[self.reference])
        for label in same:
            weights = self.backends[label].read(self.models[label])
            differ = [n for n in shapes if not np.array_equal(weights[n], expected[n])]
            cause = None
            if differ and not all(np.isfinite(weights[n]).all() for n in differ):
                cause = "NaN or infinity among the weights"
            self._add("initial weights", label, differ[0] if differ else "", cause)

    # the numeric rungs

    def _inputs(self, seed: int) -> tuple[np.ndarray, ...]:
        return as_inputs(self.config, self.options.draw(seed))

    def _run(
        self, models: Mapping[str, Model], dtype: str, seed: int
    ) -> dict[str, Results]:
        """Return each model's outputs and gradients for the inputs of a seed."""
        inputs = self._inputs(seed)
        results: dict[str, Results] = {}
        targets: dict[str, np.ndarray] = {}
        for label, model in models.items():
            backend = self.backends[label]
            self.progress(f"{dtype} forward in {label}")
            outputs = backend.forward(model, inputs)
            train = None
            if set(self.rungs) & set(TRAIN):
                targets = targets or example_targets(outputs.shape, seed)
                self.progress(f"{dtype} gradients in {label}")
                train = backend.backward(model, inputs, targets, self.config.loss)
            short = None
            if self.required < len(inputs):
                short = backend.forward(model, inputs[: self.required])
            results[label] = Results(outputs, train, short)
        return results

    def _doubles(self, labels: Iterable[str], seed: int) -> dict[str, Results]:
        """Return each model's own float64 results, to compare float32 with."""
        with ExitStack() as stack:
            return self._run(self._exact(stack, labels, "float64"), "float64", seed)

    def _float64(
        self,
        rungs: Sequence[str],
        models: Mapping[str, Model],
        results: dict[str, Results],
    ) -> None:
        for rung in rungs:
            wanted = results[self.reference].tensors(rung)
            for label, result in results.items():
                errors = compare(result.tensors(rung), wanted)
                error, where = worst(errors)
                ok = error <= FLOAT64
                where = where if wanted else "there are none"
                walked = Rung(rung, "float64", label, ok, error, FLOAT64, where)
                self.report.rungs.append(walked)
                if not ok and self.report.first_divergence is None:
                    self.progress(f"looking for what differs in {label}")
                    where, cause = self._locate(rung, label, models, errors, results)
                    self._diverge(rung, "float64", label, where, cause, error)

    def _locate(
        self,
        rung: str,
        label: str,
        models: Mapping[str, Model],
        errors: list[Error],
        results: dict[str, Results],
    ) -> tuple[str, str | None]:
        """Return where a float64 rung failed, and the likely cause."""
        inputs = self._inputs(self.seed)
        only_short = all(e.error <= FLOAT64 for e in errors if e.where != SHORT)
        return locate(
            rung,
            self._subject(label, models),
            self._subject(self.reference, models),
            inputs[: self.required] if only_short else inputs,
            errors,
            (results[label], results[self.reference]),
        )

    def _float32(
        self,
        rungs: Sequence[str],
        models: Mapping[str, Model],
        doubles: dict[str, Results],
        singles: dict[str, Results],
    ) -> None:
        for rung in rungs:
            errors, bound = calibrate(rung, doubles, singles)
            note = ""
            if rung == "gradients":
                errors, bound, note = self._account_for_flips(models, errors, bound)
            for label, (error, where) in errors.items():
                ok = error <= bound
                walked = Rung(rung, "float32", label, ok, error, bound, where, note)
                self.report.rungs.append(walked)
                if not ok:
                    self._diverge(rung, "float32", label, where, _FLOAT32_CAUSE, error)

    def _account_for_flips(
        self, models: Mapping[str, Model], errors: dict[str, Error], bound: float
    ) -> tuple[dict[str, Error], float, str]:
        """Draw new inputs while a failing backend has units that flipped in float32.

        A pre-activation within rounding of 0, or a near-tie in a max-pool, sends its
        gradient elsewhere in float32 than in float64: the gradient is discontinuous
        there, so no tolerance can hold. A failure without such a unit remains one. If
        even the best backend has flipped units, the bound is meaningless, so new inputs
        are drawn as well.
        """
        note = ""
        for seed in range(self.seed + 1, self.seed + 1 + REDRAWS):
            limit = min(bound, FLIPPED)
            failing = [k for k, e in errors.items() if e.error > limit]
            if not failing:
                break
            self.progress("looking for flipped units")
            flips = [self._flips(k, models[k], seed - 1) for k in failing]
            if not all(flips):
                break
            if seed == self.seed + REDRAWS:
                note = f"units still flip (at {flips[0]}) after {REDRAWS} inputs"
                break
            note = f"flipped units at {flips[0]} for input seed {seed - 1}; drew anew"
            doubles = self._doubles(models, seed)
            singles = self._run(models, "float32", seed)
            errors, bound = calibrate("gradients", doubles, singles)
        return errors, bound, note

    def _subject(self, label: str, models: Mapping[str, Model]) -> Subject:
        return Subject(label, self.backends[label], models[label])

    def _flips(self, label: str, single: Model, seed: int) -> str:
        """Return the first submodule with a unit that flipped, or ""."""
        backend, inputs = self.backends[label], self._inputs(seed)
        # float32 first: in Keras, `exact` casts the model itself.
        singles = backend.trace(single, inputs, training=True)
        with backend.exact(self.models[label], "float64") as double:
            doubles = backend.trace(double, inputs, training=True)
        return first_flip(singles, doubles)
