"""The ladder: are these models the same?

Each numeric rung is walked in float64, where twins agree to rounding: the largest
error of any tensor, relative to its scale, is at most 1e-10. Then in float32, where
each room is held against its own float64 result, so that the tolerance is calibrated
by the best room and never guessed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from .backend import Backend, Model, State
from .causes import explain, explain_buffers
from .configs._base import Config
from .errors import ConfigError, MissingBackendError, ZooError, unknown
from .initializers import initial_state, uniform
from .models import build, example_inputs, resolve
from .registry import ROOMS, backend_of, room, room_name
from .report import Divergence, Report, Rung
from .tracing import Call, Pass

RUNGS = (
    "names",
    "shapes",
    "counts",
    "initial weights",
    "forward",
    "forward (train)",
    "loss",
    "gradients",
    "buffers",
)
DTYPES = ("float64", "float32")
FLOAT64 = 1e-10  # of scale
_EPS32 = float(np.finfo(np.float32).eps)
_FACTOR32 = 16  # times the best room's own float32 error; correct twins reach 7.5
_REDRAWS = 8  # inputs tried until no ReLU or max-pool unit flips in float32

Arrays = Mapping[str, np.ndarray]


class Error(NamedTuple):
    """The worst tensor of a rung."""

    error: float
    where: str


def compare(ours: Arrays, reference: Arrays) -> list[Error]:
    """Return each tensor's max-abs error relative to its scale, in order.

    The scale is the larger of the reference tensor's own max-abs and 1e-3 of the
    largest tensor's: a convolution's bias before BatchNorm has a true gradient of 0,
    and rounding is all it holds. NaN anywhere is an infinite error.
    """
    peaks = {k: float(np.abs(v).max(initial=0)) for k, v in reference.items()}
    floor = 1e-3 * max((p for p in peaks.values() if np.isfinite(p)), default=0.0)
    errors = []
    for name, peak in peaks.items():
        a = np.asarray(ours[name], np.float64)
        b = np.asarray(reference[name], np.float64)
        if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
            errors.append(Error(np.inf, name))
            continue
        worst = float(np.abs(a - b).max(initial=0))
        scale = max(peak, floor)
        errors.append(Error(worst / scale if scale else float(worst > 0), name))
    return errors


def _worst(errors: Iterable[Error]) -> Error:
    return max(errors, key=lambda e: e.error, default=Error(0.0, ""))


def check(
    *subjects: Any,
    backends: Sequence[str] = ROOMS,
    batch: int = 2,
    seed: int = 0,
    rungs: Sequence[str] = RUNGS,
    dtypes: Sequence[str] = DTYPES,
    progress: Callable[[str], object] | None = None,
    **overrides: Any,
) -> Report:
    """Walk the ladder over the twins of one preset, or over models as they stand.

    Args:
        *subjects: a preset's name or a config, built in every backend; or two or more
            models, which are never changed (a user's edits and training stay in view).
        backends: rooms to build in; the first that is installed is the reference.
        batch: examples in the inputs.
        seed: of the initial weights and of the inputs.
        rungs: which rungs to walk; see `RUNGS`.
        dtypes: "float64" and "float32".
        progress: called with a short text as each step begins.
        **overrides: config fields to change.

    Returns:
        A Report; `.ok` means that every requested rung was walked and passed.
    """
    for name in rungs:
        if name not in RUNGS:
            raise unknown("rung", name, RUNGS)
    for name in dtypes:
        if name not in DTYPES:
            raise unknown("dtype", name, DTYPES)
    begin = time.perf_counter()
    say = progress or (lambda text: None)
    if len(subjects) == 1 and isinstance(subjects[0], (str, Config)):
        config = resolve(subjects[0], **overrides)
        title = subjects[0] if isinstance(subjects[0], str) else type(config).__name__
        models, missing = _build_all(config, backends, seed, say)
    elif len(subjects) > 1:
        if overrides:
            raise ConfigError(f"models have a config already; got {list(overrides)}.")
        models, missing = _label(subjects), []
        config = subjects[0].config
        title = " and ".join(type(m).__name__ for m in subjects)
        if any(m.config != config for m in subjects):
            missing.append("their configs differ: these are two architectures")
    else:
        raise ZooError(
            "check takes one preset, or two or more models; got"
            f" {len(subjects)} of {[type(s).__name__ for s in subjects]}."
        )
    report = Report(title, list(models), missing=missing)
    if len(models) < 2:
        report.missing.append("nothing to compare: fewer than two models")
    if not report.missing or len(models) > 1:
        fresh = seed if isinstance(subjects[0], (str, Config)) else None
        _Ladder(report, config, models, batch, seed, rungs, dtypes, say, fresh).walk()
    report.seconds = time.perf_counter() - begin
    return report


def _build_all(
    config: Config, backends: Sequence[str], seed: int, say: Callable[[str], object]
) -> tuple[dict[str, Model], list[str]]:
    models, missing = {}, []
    for backend in map(room_name, backends):
        say(f"building {backend}")
        try:
            models[backend] = build(config, backend, seed=seed)
        except MissingBackendError as error:
            missing.append(f"{backend}: {error}")
    return models, missing


def _label(subjects: Sequence[Model]) -> dict[str, Model]:
    names = [backend_of(m) for m in subjects]
    labels = [
        n if names.count(n) == 1 else f"{n}#{names[: i + 1].count(n)}"
        for i, n in enumerate(names)
    ]
    return dict(zip(labels, subjects))


class _Results(NamedTuple):
    """What one model gave in one dtype."""

    outputs: np.ndarray
    train: Pass | None

    def tensors(self, rung: str) -> Arrays:
        """Return the tensors that a rung compares, in forward order."""
        if rung == "forward" or self.train is None:
            return {"": self.outputs}
        if rung == "forward (train)":
            return {"": self.train.outputs}
        if rung == "loss":
            return {k: np.asarray(v) for k, v in self.train.losses.items()}
        if rung == "buffers":
            return self.train.buffers
        inputs = {f"input {i}": g for i, g in self.train.input_gradients.items()}
        return {**inputs, **self.train.gradients}


class _Ladder:
    """One walk: fills the report."""

    def __init__(
        self,
        report: Report,
        config: Config,
        models: dict[str, Model],
        batch: int,
        seed: int,
        rungs: Sequence[str],
        dtypes: Sequence[str],
        say: Callable[[str], object],
        fresh: int | None,
    ) -> None:
        self.report, self.config, self.models = report, config, models
        self.batch, self.seed, self.say, self.fresh = batch, seed, say, fresh
        self.rungs = [r for r in RUNGS if r in rungs]
        self.dtypes = [d for d in DTYPES if d in dtypes]
        self.rooms: dict[str, Backend] = {
            label: room(backend_of(m)) for label, m in models.items()
        }
        self.reference = next(iter(models))

    def walk(self) -> None:
        """Walk the structural rungs, then the numeric ones in each dtype."""
        same = self._structure()
        numeric = [r for r in self.rungs if r not in RUNGS[:4]]
        for label in self.models:
            if numeric and label not in same:
                why = "names or shapes differ from the reference"
                self.report.missing.append(f"{label}: {', '.join(numeric)}: {why}")
        if not numeric or len(same) < 2:
            return
        doubles: dict[str, _Results] = {}
        for dtype in self.dtypes:
            with ExitStack() as stack:
                exact = {
                    k: stack.enter_context(self.rooms[k].exact(self.models[k], dtype))
                    for k in same
                }
                results = self._run(exact, dtype, self.seed)
                if dtype == "float64":
                    doubles = results
                    self._float64(numeric, exact, results)
                else:
                    doubles = doubles or self._doubles(same, self.seed)
                    self._float32(numeric, exact, doubles, results)

    # the structural rungs

    def _add(self, rung: str, label: str, problem: str, cause: str | None = None) -> None:
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
        same = [k for k, found in shapes.items() if found == wanted]
        if "initial weights" in self.rungs:
            self._weights(same, wanted)
        return same

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
        inputs = example_inputs(self.config, self.batch, seed)
        return inputs if isinstance(inputs, tuple) else (inputs,)

    def _run(
        self, models: Mapping[str, Model], dtype: str, seed: int
    ) -> dict[str, _Results]:
        inputs = self._inputs(seed)
        results: dict[str, _Results] = {}
        targets: dict[str, np.ndarray] = {}
        for label, model in models.items():
            here = self.rooms[label]
            self.say(f"{dtype} forward in {label}")
            outputs = here.forward(model, inputs)
            train = None
            if set(self.rungs) & set(RUNGS[5:]):
                targets = targets or self._targets(outputs.shape, seed)
                self.say(f"{dtype} gradients in {label}")
                train = here.backward(model, inputs, targets, self.config.loss)
            results[label] = _Results(outputs, train)
        return results

    def _targets(self, shape: tuple[int, ...], seed: int) -> dict[str, np.ndarray]:
        """Return a target for each loss that the logits' shape allows."""
        noise = uniform(seed, "target", shape)
        targets = {"bce": (noise > 0).astype(np.float32), "mse": noise}
        classes = shape[-1]
        if classes > 1:
            ids = (uniform(seed, "labels", shape[:-1]) + 1) * (classes / 2)
            targets["cross_entropy"] = ids.astype(np.int32)
        return targets

    def _doubles(self, labels: Iterable[str], seed: int) -> dict[str, _Results]:
        """Return each model's own float64 results, its yardstick for float32."""
        with ExitStack() as stack:
            exact = {
                k: stack.enter_context(self.rooms[k].exact(self.models[k], "float64"))
                for k in labels
            }
            return self._run(exact, "float64", seed)

    def _float64(
        self,
        rungs: Sequence[str],
        models: Mapping[str, Model],
        results: dict[str, _Results],
    ) -> None:
        for rung in rungs:
            wanted = results[self.reference].tensors(rung)
            for label, result in results.items():
                errors = compare(result.tensors(rung), wanted)
                worst = _worst(errors)
                ok = worst.error <= FLOAT64
                self.report.rungs.append(
                    Rung(rung, "float64", label, ok, worst.error, FLOAT64, worst.where)
                )
                if not ok and self.report.first_divergence is None:
                    where, cause = self._locate(rung, label, models, errors, results)
                    self._diverge(rung, "float64", label, where, cause, worst.error)

    def _float32(
        self,
        rungs: Sequence[str],
        models: Mapping[str, Model],
        doubles: dict[str, _Results],
        singles: dict[str, _Results],
    ) -> None:
        for rung in rungs:
            worst, bound = _calibrate(rung, doubles, singles)
            note = ""
            if rung == "gradients":
                worst, bound, note = self._account_for_flips(models, worst, bound)
            for label, (error, where) in worst.items():
                ok = error <= bound
                found = Rung(rung, "float32", label, ok, error, bound, where, note)
                self.report.rungs.append(found)
                if not ok:
                    kind = _kind_at(self.rooms[label], models[label], where)
                    cause = explain(rung, kind, {}, {}) if kind else None
                    self._diverge(rung, "float32", label, where, cause, error)

    def _account_for_flips(
        self, models: Mapping[str, Model], worst: dict[str, Error], bound: float
    ) -> tuple[dict[str, Error], float, str]:
        """Draw new inputs while a failing room has units that flipped in float32.

        A pre-activation within rounding of 0, or a near-tie in a max-pool, sends its
        gradient elsewhere in float32 than in float64: the function itself jumps
        there, so no tolerance can be asked. Without such a unit a failure stands.
        """
        note = ""
        for seed in range(self.seed + 1, self.seed + 1 + _REDRAWS):
            failing = [k for k, e in worst.items() if e.error > bound]
            if not failing:
                break
            self.say("looking for flipped units")
            flips = [self._flips(k, models[k], seed - 1) for k in failing]
            if not all(flips):
                break
            note = f"flipped units at {flips[0]} for input seed {seed - 1}; drew anew"
            doubles = self._doubles(models, seed)
            singles = self._run(models, "float32", seed)
            worst, bound = _calibrate("gradients", doubles, singles)
        return worst, bound, note

    def _flips(self, label: str, single: Model, seed: int) -> str:
        """Return the first submodule some of whose units flipped, or nothing."""
        here, inputs = self.rooms[label], self._inputs(seed)
        singles = here.trace(single, inputs, training=True)
        with here.exact(self.models[label], "float64") as double:
            doubles = here.trace(double, inputs, training=True)
        for a, b in zip(singles, doubles):
            pairs = zip(_arrays(a.own), _arrays(b.own))
            if any(_flipped(x, y) for x, y in pairs):
                return a.name or "the output"
        return ""

    # where, and why

    def _locate(
        self,
        rung: str,
        label: str,
        models: Mapping[str, Model],
        errors: list[Error],
        results: dict[str, _Results],
    ) -> tuple[str, str | None]:
        """Return the first differing submodule, or tensor, and the likely cause."""
        if rung in ("forward", "forward (train)"):
            return self._first_layer(rung, label, models)
        bad = [e.where for e in errors if e.error > FLOAT64]
        if rung == "loss":
            return bad[0], f"the loss {bad[0]} itself: the logits agree"
        # Gradients flow backwards: the last tensor that differs is where it began.
        where = bad[-1] if rung == "gradients" else bad[0]
        if rung == "buffers":
            cause = self._buffer_cause(where, label, results)
            if cause:
                return where, cause
        path = where.rpartition(".")[0]
        kind = _kind_at(self.rooms[label], models[label], where)
        facts = self._facts(path, label, models)
        if rung == "gradients":
            cause = "the backward pass alone: a kink (an activation at 0, a tie), or"
            cause += " a gradient that is stopped"
            return where, cause
        return where, explain(rung, kind, *facts)

    def _first_layer(
        self, rung: str, label: str, models: Mapping[str, Model]
    ) -> tuple[str, str | None]:
        """Feed each submodule its twin's inputs; return the first that differs."""
        training = rung == "forward (train)"
        inputs = self._inputs(self.seed)
        first, here = self.rooms[self.reference], self.rooms[label]
        self.say(f"looking for the first layer of {label} that differs")
        calls = first.trace(models[self.reference], inputs, training)
        forced = {(c.name, c.index): c for c in calls}
        for call in here.trace(models[label], inputs, training, forced):
            twin = forced.get((call.name, call.index))
            if twin is None or not _differ(call.own, twin.own):
                continue
            facts = self._facts(call.name, label, models)
            kind = f"{call.kind} {twin.kind}"
            cause = explain(rung, kind, *facts) if call.name else None
            if _nan(call.own) and not _nan(twin.own):
                cause = f"NaN comes from {call.kind} in {label}"
            return call.name, cause
        return "", None

    def _facts(
        self, path: str, label: str, models: Mapping[str, Model]
    ) -> tuple[dict[str, float], dict[str, float]]:
        found = []
        for k in (self.reference, label):
            module = self.rooms[k].submodules(models[k]).get(path)
            found.append({} if module is None else self.rooms[k].facts(module))
        return found[0], found[1]

    def _buffer_cause(
        self, where: str, label: str, results: dict[str, _Results]
    ) -> str | None:
        before = self.rooms[self.reference].read(self.models[self.reference])[where]
        ours = results[label].tensors("buffers")
        twins = results[self.reference].tensors("buffers")
        mean = where.replace("running_var", "running_mean")
        if where != mean and _worst(compare({"": ours[mean]}, {"": twins[mean]}))[0] < FLOAT64:
            return "biased running variance: PyTorch's is n/(n-1) times as large"
        return explain_buffers(before, twins[where], ours[where])


def _calibrate(
    rung: str, doubles: dict[str, _Results], singles: dict[str, _Results]
) -> tuple[dict[str, Error], float]:
    """Return each model's worst float32 error against itself, and the bound for all."""
    worst = {
        k: _worst(compare(singles[k].tensors(rung), doubles[k].tensors(rung)))
        for k in singles
    }
    best = min(e.error for e in worst.values())
    return worst, max(_FACTOR32 * best, 64 * _EPS32)


def _kind_at(here: Backend, model: Model, tensor: str) -> str:
    module = here.submodules(model).get(tensor.rpartition(".")[0])
    return "" if module is None else type(module).__name__


def _arrays(value: Any) -> list[np.ndarray]:
    if isinstance(value, (tuple, list)):
        return [a for v in value for a in _arrays(v)]
    return [value] if isinstance(value, np.ndarray) else []


def _nan(value: Any) -> bool:
    return any(not np.isfinite(a).all() for a in _arrays(value))


def _differ(ours: Any, twins: Any) -> bool:
    """Return whether what two submodules gave differs, where it can be compared."""
    pairs = list(zip(_arrays(ours), _arrays(twins)))
    return any(
        a.shape == b.shape and _worst(compare({"": a}, {"": b})).error > FLOAT64
        for a, b in pairs
    )


def _flipped(single: np.ndarray, double: np.ndarray) -> bool:
    """Return whether a unit's sign, or the order of two neighbours, differs."""
    if single.shape != double.shape or single.dtype.kind != "f":
        return False
    if (np.sign(single) != np.sign(double)).any():
        return True
    axes = (1, 2) if single.ndim == 4 else ()
    return any(
        (np.sign(np.diff(single, axis=a)) != np.sign(np.diff(double, axis=a))).any()
        for a in axes
    )


__all__ = ["RUNGS", "Call", "Report", "check", "compare"]
