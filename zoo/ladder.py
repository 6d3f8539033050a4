"""The ladder's rungs, from names to buffers, walked over models as they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

import numpy as np

from .backend import Backend, Model, State
from .configs._base import Config
from .divergence import Subject, first_flip, locate
from .errors import ZooError
from .initializers import initial_state
from .measure import (
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
from .models import Inputs, as_inputs, example_targets
from .registry import backend_of, room
from .report import Divergence, Report, Rung

RUNGS = (
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
_NUMERIC = RUNGS[RUNGS.index("forward") :]
TRAIN = RUNGS[RUNGS.index("forward (train)") :]
DTYPES = ("float64", "float32")
_FLOAT32_CAUSE = "float32 alone: float64 agrees, so it is an operator's precision"


class Ladder:
    """One walk: fills the report."""

    def __init__(
        self,
        report: Report,
        config: Config,
        models: dict[str, Model],
        draw: Callable[[int], Inputs],
        seed: int,
        rungs: Sequence[str],
        dtypes: Sequence[str],
        say: Callable[[str], object],
        fresh: int | None,
    ) -> None:
        self.report, self.config, self.models = report, config, models
        self.draw, self.seed, self.say, self.fresh = draw, seed, say, fresh
        self.rungs = [r for r in RUNGS if r in rungs]
        self.dtypes = [d for d in DTYPES if d in dtypes]
        self.rooms: dict[str, Backend] = {
            label: room(backend_of(m)) for label, m in models.items()
        }
        self.reference = next(iter(models))
        self.least = sum(not spec.optional for spec in config.inputs())

    def walk(self) -> list[str]:
        """Walk all rungs, the numeric ones in each dtype; return who can go on."""
        same = self._structure()
        numeric = [r for r in self.rungs if r in _NUMERIC]
        blocked = [r for r in self.rungs if r in ("initial weights", *_NUMERIC)]
        for label in self.models:
            if blocked and label not in same:
                why = "names or shapes differ from the reference"
                self.report.missing.append(f"{label}: {', '.join(blocked)}: {why}")
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
        """Return the models in this dtype; who cannot be cast is missing."""
        exact = {}
        for label in labels:
            try:
                context = self.rooms[label].exact(self.models[label], dtype)
                exact[label] = stack.enter_context(context)
            except ZooError as error:
                if (line := f"{label}: {error}") not in self.report.missing:
                    self.report.missing.append(line)
        return exact

    # the structural rungs

    def _add(
        self, rung: str, label: str, problem: str, cause: str | None = None
    ) -> None:
        """Record an exact rung; `problem` is the first name that differs, or empty."""
        if rung not in self.rungs:
            return
        ok = not problem
        self.report.rungs.append(Rung(rung, "", label, ok, float(not ok), 0.0, problem))
        if not ok:
            self._diverge(rung, "", label, problem, cause, 1.0)

    def _diverge(
        self, rung: str, dtype: str, label: str, where: str, cause: str | None, e: float
    ) -> None:
        if self.report.first_divergence is None:
            found = Divergence(rung, dtype, label, where, cause, e)
            self.report.first_divergence = found

    def _structure(self) -> list[str]:
        """Walk names, shapes, counts and weights; return who can go on."""
        shapes = {k: self.rooms[k].shapes(m) for k, m in self.models.items()}
        wanted = shapes[self.reference]
        first = self.rooms[self.reference]
        self.report.parameters = sum(
            int(np.prod(wanted[n]))
            for n in first.trainable(self.models[self.reference])
        )
        for label, found in shapes.items():
            odd = [n for n in wanted if n not in found]
            odd += [n for n in found if n not in wanted]
            self._add("names", label, odd[0] if odd else "")
        for label, found in shapes.items():
            odd = [n for n in wanted if n in found and found[n] != tuple(wanted[n])]
            self._add("shapes", label, odd[0] if odd else "")
        for label, found in shapes.items():
            total = sum(int(np.prod(s)) for s in found.values())
            own = self.rooms[label].count(self.models[label])
            self._add("counts", label, "" if own == total else f"{own} != {total}")
        self._settings()
        same = [k for k, found in shapes.items() if found == wanted]
        if "initial weights" in self.rungs:
            self._weights(same, wanted)
        return same

    def _settings(self) -> None:
        """Dropout rates, and what is frozen: no number of the ladder shows them."""
        found = {}
        for label, model in self.models.items():
            here = self.rooms[label]
            learned = here.trainable(model)
            learned = {n: "trainable" for n in here.shapes(model) if n in learned}
            found[label] = {**learned, **here.dropouts(model)}
        wanted = found[self.reference]
        for label, ours in found.items():
            names = [*wanted, *(n for n in ours if n not in wanted)]
            odd = [n for n in names if ours.get(n) != wanted.get(n)]
            where, cause = odd[0] if odd else "", None
            if odd:
                cause = f"{wanted.get(where, 'none')} against {ours.get(where, 'none')}"
            self._add("settings", label, where, cause)

    def _weights(self, same: list[str], shapes: dict[str, tuple[int, ...]]) -> None:
        """Weights are the same bits: the seed's, or else the reference model's."""
        self.say("initial weights")
        expected: State
        if self.fresh is not None:
            expected = initial_state(self.config, shapes, self.fresh)
        else:
            expected = self.rooms[self.reference].read(self.models[self.reference])
        for label in same:
            found = self.rooms[label].read(self.models[label])
            odd = [n for n in shapes if not np.array_equal(found[n], expected[n])]
            cause = None
            if odd and not all(np.isfinite(found[n]).all() for n in odd):
                cause = "NaN or infinity among the weights"
            self._add("initial weights", label, odd[0] if odd else "", cause)

    # the numeric rungs

    def _inputs(self, seed: int) -> tuple[np.ndarray, ...]:
        return as_inputs(self.config, self.draw(seed))

    def _run(
        self, models: Mapping[str, Model], dtype: str, seed: int
    ) -> dict[str, Results]:
        inputs = self._inputs(seed)
        results: dict[str, Results] = {}
        targets: dict[str, np.ndarray] = {}
        for label, model in models.items():
            here = self.rooms[label]
            self.say(f"{dtype} forward in {label}")
            outputs = here.forward(model, inputs)
            train = None
            if set(self.rungs) & set(TRAIN):
                targets = targets or example_targets(outputs.shape, seed)
                self.say(f"{dtype} gradients in {label}")
                train = here.backward(model, inputs, targets, self.config.loss)
            short = None
            if self.least < len(inputs):
                short = here.forward(model, inputs[: self.least])
            results[label] = Results(outputs, train, short)
        return results

    def _doubles(self, labels: Iterable[str], seed: int) -> dict[str, Results]:
        """Return each model's own float64 results, its yardstick for float32."""
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
                error, at = worst(errors)
                ok = error <= FLOAT64
                at = at if wanted else "there are none"
                found = Rung(rung, "float64", label, ok, error, FLOAT64, at)
                self.report.rungs.append(found)
                if not ok and self.report.first_divergence is None:
                    self.say(f"looking for what differs in {label}")
                    inputs = self._inputs(self.seed)
                    short = all(e.error <= FLOAT64 for e in errors if e.where != SHORT)
                    where, cause = locate(
                        rung,
                        self._subject(label, models),
                        self._subject(self.reference, models),
                        inputs[: self.least] if short else inputs,
                        errors,
                        (result, results[self.reference]),
                    )
                    self._diverge(rung, "float64", label, where, cause, error)

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
                found = Rung(rung, "float32", label, ok, error, bound, where, note)
                self.report.rungs.append(found)
                if not ok:
                    self._diverge(rung, "float32", label, where, _FLOAT32_CAUSE, error)

    def _account_for_flips(
        self, models: Mapping[str, Model], errors: dict[str, Error], bound: float
    ) -> tuple[dict[str, Error], float, str]:
        """Draw new inputs while a failing room has units that flipped in float32.

        A pre-activation within rounding of 0, or a near-tie in a max-pool, sends its
        gradient elsewhere in float32 than in float64: the function itself jumps
        there, so no tolerance can be asked. Without such a unit a failure stands.
        Where the best room flipped too, the bound says nothing: that is redrawn alike.
        """
        note = ""
        for seed in range(self.seed + 1, self.seed + 1 + REDRAWS):
            limit = min(bound, FLIPPED)
            failing = [k for k, e in errors.items() if e.error > limit]
            if not failing:
                break
            self.say("looking for flipped units")
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
        return Subject(label, self.rooms[label], models[label])

    def _flips(self, label: str, single: Model, seed: int) -> str:
        """Return the first submodule some of whose units flipped, or nothing."""
        here, inputs = self.rooms[label], self._inputs(seed)
        # In this order: Keras's exact casts the very model.
        singles = here.trace(single, inputs, training=True)
        with here.exact(self.models[label], "float64") as double:
            doubles = here.trace(double, inputs, training=True)
        return first_flip(singles, doubles)
