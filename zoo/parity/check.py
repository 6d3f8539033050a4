"""`zoo.check`: walk the ladder over twins, to see whether they are the same model.

Each numeric rung is walked in float64, where twins agree up to rounding: the error of
every tensor, relative to its scale, is at most 1e-10. It is then walked in float32,
where each backend is compared with its own float64 result; the best backend's error
sets the tolerance of all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..backend import Model
from ..configs._base import Config
from ..errors import ConfigError, MissingBackendError, ZooError, unknown
from ..models import Inputs, build, example_inputs, resolve
from ..registry import BACKENDS, backend_id, labelled
from ..spec.recipe import Recipe
from . import trajectory
from .ladder import DTYPES, MODEL_RUNGS, TRAIN, Ladder, Options
from .report import Report
from .subjects import Subjects


def check(
    *subjects: Any,
    backends: Sequence[str] = BACKENDS,
    batch: int = 2,
    seed: int = 0,
    rungs: Sequence[str] = MODEL_RUNGS,
    dtypes: Sequence[str] = DTYPES,
    device: str | None = None,
    inputs: Callable[[int], Inputs] | None = None,
    train: Recipe | bool = False,
    steps: int = 50,
    progress: Callable[[str], object] | None = None,
    **overrides: Any,
) -> Report:
    """Walk the ladder over the twins of one preset, or over models as they are.

    Args:
        *subjects: a preset's name or a config, built in every backend; or two or more
            models, compared as they are, with all edits and training, and not changed.
        backends: to build in; the first that is installed is the reference.
        batch: examples in the inputs.
        seed: of the initial weights and of the inputs.
        rungs: which rungs to walk; see `MODEL_RUNGS`.
        dtypes: "float64" and "float32".
        device: where to build, as in `build`; given models stay where they are.
        inputs: returns the models' inputs for a seed, instead of `example_inputs`; it
            is called with further seeds if units flip in float32.
        train: also walk the rungs of `zoo.parity.trajectory`: one training step, a
            run, and the run resumed in each other backend; a recipe, or True.
        steps: length of that run.
        progress: called with a short text as each step begins.
        **overrides: config fields to change.

    Returns:
        A Report; `.ok` means that every requested rung was walked and passed.
    """
    begin = time.perf_counter()
    progress = progress or (lambda text: None)
    _check_rungs(rungs, dtypes, batch)
    config = _config_of(subjects, overrides)
    fresh = seed if len(subjects) == 1 else None
    draw = inputs or (lambda seed: example_inputs(config, batch, seed))
    ladder = Options(draw, seed, rungs, dtypes, fresh, progress)
    training = None
    if train:
        recipe = trajectory.RECIPE if train is True else train
        training = trajectory.Options(draw, recipe, steps, dtypes, progress)
    if len(subjects) == 1:
        name = subjects[0] if isinstance(subjects[0], str) else type(config).__name__
        built = _build_all(name, config, backends, seed, device, progress)
    else:
        built = _given(subjects, config)
    report = Report(built.title, list(built.models), missing=built.missing)
    if len(built.models) < 2:
        report.missing.append("nothing to compare: fewer than two models")
    else:
        same = Ladder(report, Subjects(config, built.models), ladder).walk()
        if training is not None:
            models = {label: built.models[label] for label in same}
            trajectory.walk(report, Subjects(config, models), training)
    report.seconds = time.perf_counter() - begin
    return report


class _Built(NamedTuple):
    """The models of a check by label, and those that are missing."""

    title: str
    models: dict[str, Model]
    missing: list[str]


def _check_rungs(rungs: Sequence[str], dtypes: Sequence[str], batch: int) -> None:
    """Raise UnknownNameError or ConfigError for what cannot be walked."""
    for name in rungs:
        if name not in MODEL_RUNGS:
            raise unknown("rung", name, MODEL_RUNGS)
    for name in dtypes:
        if name not in DTYPES:
            raise unknown("dtype", name, DTYPES)
    if not rungs or not dtypes:
        raise ConfigError("check needs at least one rung and one dtype to walk.")
    if batch < 1 or (batch == 1 and set(rungs) & set(TRAIN)):
        raise ConfigError(
            "batch must be at least 2, as one example has no batch statistics; got"
            f" {batch}."
        )


def _config_of(subjects: Sequence[Any], overrides: dict[str, Any]) -> Config:
    """Return the config of a preset, or of the first of several models."""
    if len(subjects) == 1 and isinstance(subjects[0], (str, Config)):
        return resolve(subjects[0], **overrides)
    if len(subjects) < 2:
        raise ZooError(
            "check takes one preset, or two or more models; got"
            f" {len(subjects)} of {[type(s).__name__ for s in subjects]}."
        )
    if overrides:
        raise ConfigError(f"models have a config already; got {list(overrides)}.")
    labelled(subjects)  # raises if one is no model of the zoo
    return subjects[0].config


def _given(models: Sequence[Model], config: Config) -> _Built:
    """Return the user's own models by label."""
    missing = []
    if any(m.config != config for m in models):
        missing.append("their configs differ: these are two architectures")
    title = " and ".join(type(m).__name__ for m in models)
    return _Built(title, labelled(models), missing)


def _build_all(
    name: str,
    config: Config,
    backends: Sequence[str],
    seed: int,
    device: str | None,
    progress: Callable[[str], object],
) -> _Built:
    """Build a config in every backend that is installed."""
    models, missing = {}, []
    for backend in map(backend_id, backends):
        progress(f"building {backend}")
        try:
            models[backend] = build(config, backend, seed=seed, device=device)
        except MissingBackendError as error:
            missing.append(f"{backend}: {error}")
    return _Built(name, models, missing)
