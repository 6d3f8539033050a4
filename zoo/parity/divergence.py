"""The first submodule in which two models differ, and the likely cause."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..spec.tracing import Call, arrays_in, has_nan
from .causes import likely_buffer_cause, likely_cause
from .subjects import Subject
from .tolerance import FLOAT64, Error, Results, compare, differ, flipped, worst

Inputs = Sequence[np.ndarray]


def first_layer(
    ours: Subject, reference: Subject, inputs: Inputs, training: bool
) -> tuple[str, str | None]:
    """Return the first submodule that differs, and the likely cause.

    Each submodule is called with its twin's inputs, so earlier differences have no
    effect. If the inputs that its caller computed differ, the caller's own code does;
    if its outputs differ, it does itself.
    """
    rung = "forward (train)" if training else "forward"
    calls = reference.backend.trace(reference.model, inputs, training)
    forced = {(c.name, c.index): c for c in calls}
    pairs = [
        (call, forced[call.name, call.index])
        for call in ours.backend.trace(ours.model, inputs, training, forced)
        if (call.name, call.index) in forced
    ]
    events = [(a.begin, a, b, differ(a.given, b.inputs)) for a, b in pairs]
    events += [(a.end, a, b, differ(a.own, b.own)) for a, b in pairs]
    for time, call, twin, differs in sorted(events, key=lambda e: e[0]):
        if not differs:
            continue
        path, where, arrays = call.name, call.name, call.own
        kinds = f"{call.kind} {twin.kind}"
        if time == call.begin:
            path, arrays = call.parent, call.given
            where = path or f"input of {call.name}"
            kinds = ours.kind(path) if path else f"before {kinds}"
        cause = None
        if where:
            cause = likely_cause(rung, kinds, reference.facts(path), ours.facts(path))
        if has_nan(arrays):
            cause = f"NaN comes from here{f' ({cause})' if cause else ''}"
        return where, cause
    return "", None


def locate(
    rung: str,
    ours: Subject,
    reference: Subject,
    inputs: Inputs,
    errors: list[Error],
    results: tuple[Results, Results],
) -> tuple[str, str | None]:
    """Return where a float64 rung failed, and the likely cause.

    `results` are ours and the reference's; `errors` are ours, in forward order.
    """
    if rung.startswith("forward"):
        try:
            return first_layer(ours, reference, inputs, rung != "forward")
        except Exception as error:  # an edited model may run, but not be traced
            return "", f"unknown: tracing failed with {type(error).__name__}: {error}"
    wrong = [e.where for e in errors if e.error > FLOAT64]
    if rung == "loss":
        return wrong[0], f"the loss {wrong[0]} itself: the logits agree"
    if rung == "gradients":
        # Gradients flow backwards: the last tensor that differs was the first to.
        return wrong[-1], (
            "the backward pass alone: a kink (an activation at 0, a tie), or a"
            " gradient that is stopped"
        )
    path = wrong[0].rpartition(".")[0]
    cause = _buffer_cause(wrong[0], reference, results)
    facts = reference.facts(path), ours.facts(path)
    return wrong[0], cause or likely_cause(rung, ours.kind(path), *facts)


def _buffer_cause(
    name: str, reference: Subject, results: tuple[Results, Results]
) -> str | None:
    """Return the cause of a running statistic that differs."""
    ours, twins = (r.tensors("buffers") for r in results)
    mean = name.replace("running_var", "running_mean")
    if name != mean:
        means = compare({"": ours[mean]}, {"": twins[mean]})
        if worst(means).error < FLOAT64:
            return "biased running variance: PyTorch's is n/(n-1) times as large"
    before = reference.backend.read(reference.model)[name]
    return likely_buffer_cause(before, twins[name], ours[name])


def first_flip(singles: Sequence[Call], doubles: Sequence[Call]) -> str:
    """Return the first submodule with a unit that flipped in float32, or ""."""
    for a, b in zip(singles, doubles):
        pairs = zip(arrays_in(a.own), arrays_in(b.own))
        if any(flipped(x, y) for x, y in pairs):
            return a.name or "the output"
    return ""
