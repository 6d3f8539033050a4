"""The ladder: are these models the same?

Each numeric rung is walked in float64, where twins agree to rounding: the largest
error of any tensor, relative to its scale, is at most 1e-10. Then in float32, where
each room is held against its own float64 result, so that the tolerance is calibrated
by the best room and never guessed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from . import trajectory
from .backend import Model
from .configs._base import Config
from .errors import ConfigError, MissingBackendError, ZooError, unknown
from .ladder import DTYPES, RUNGS, TRAIN, Ladder
from .models import Inputs, build, example_inputs, resolve
from .recipe import Recipe
from .registry import ROOMS, labelled, room_name
from .report import Report


def check(
    *subjects: Any,
    backends: Sequence[str] = ROOMS,
    batch: int = 2,
    seed: int = 0,
    rungs: Sequence[str] = RUNGS,
    dtypes: Sequence[str] = DTYPES,
    device: str | None = None,
    inputs: Callable[[int], Inputs] | None = None,
    train: Recipe | bool = False,
    steps: int = 50,
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
        device: where to build, as in `build`; given models stay where they are.
        inputs: gives the models' inputs for a seed, instead of `example_inputs`;
            where units flip in float32, the next seeds are asked for too.
        train: also walk the rungs of `zoo.trajectory`: one training step, a whole
            run, and the run gone on with in each other room; a recipe, or True.
        steps: length of that run.
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
    if not rungs or not dtypes:
        raise ConfigError("check needs at least one rung and one dtype to walk.")
    if batch < 1 or (batch == 1 and set(rungs) & set(TRAIN)):
        raise ConfigError(
            f"batch must be at least 2, as batch statistics of one example are none;"
            f" got {batch}."
        )
    begin = time.perf_counter()
    say = progress or (lambda text: None)
    if len(subjects) == 1 and isinstance(subjects[0], (str, Config)):
        config = resolve(subjects[0], **overrides)
        title = subjects[0] if isinstance(subjects[0], str) else type(config).__name__
        models, missing = _build_all(config, backends, seed, device, say)
    elif len(subjects) > 1:
        if overrides:
            raise ConfigError(f"models have a config already; got {list(overrides)}.")
        models, missing = labelled(subjects), []
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
        draw = inputs or (lambda seed: example_inputs(config, batch, seed))
        same = Ladder(
            report, config, models, draw, seed, rungs, dtypes, say, fresh
        ).walk()
        if train:
            trajectory.walk(
                report,
                config,
                {label: models[label] for label in same},
                draw,
                recipe=trajectory.RECIPE if train is True else train,
                steps=steps,
                dtypes=dtypes,
                say=say,
            )
    report.seconds = time.perf_counter() - begin
    return report


def _build_all(
    config: Config,
    backends: Sequence[str],
    seed: int,
    device: str | None,
    say: Callable[[str], object],
) -> tuple[dict[str, Model], list[str]]:
    models, missing = {}, []
    for backend in map(room_name, backends):
        say(f"building {backend}")
        try:
            models[backend] = build(config, backend, seed=seed, device=device)
        except MissingBackendError as error:
            missing.append(f"{backend}: {error}")
    return models, missing
