"""Times the cells of a group in turn.

The processes of all columns live side by side, but only one works at a time. A round
asks each of them in turn, so that a drift of the machine affects all alike, and the
ratio of two columns is taken within a round.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from .cells import CellRun, Session, failure, living, retry
from .engine import Failed, Lost
from .intervals import median, paired_ratio, spread, verdict
from .plan import Plan
from .results import ResultRow

_BURST = 0.06  # seconds that one measurement takes, where a call is shorter
_MOST_CALLS = 50  # of one measurement
_LEAST_ROUNDS = 5  # however slow
_PEAK_ROUNDS, _PEAK_CALLS = 5, 10
_T = TypeVar("_T")


@dataclass
class _Measurement:
    """One cell's step at one batch size; `row` is among the cell's timings."""

    run: CellRun
    row: ResultRow
    pace: float = 0.0  # seconds that one round takes
    seconds: list[float] = field(default_factory=list)  # of each round

    @property
    def ok(self) -> bool:
        return self.row["status"] == "ok"


def measure_peak(session: Session, runs: Sequence[CellRun]) -> None:
    """Measure the machine by each framework's own matrix product."""
    gflops: dict[str, list[float]] = {run.title: [] for run in living(runs)}
    session.progress("measuring the machine's matrix product")
    for turn in range(_PEAK_ROUNDS):
        for run in _in_turn(living(runs), turn):
            try:
                answer = retry(partial(run.ask, "matmul", calls=_PEAK_CALLS))
                gflops[run.title].append(answer["gflops"])
            except (Lost, Failed) as error:
                run.fail(error)
    for run in living(runs):
        run.head["matmul_gflops"] = statistics.median(gflops[run.title])


def time_step(
    session: Session, runs: Sequence[CellRun], step: str, batch_size: int
) -> None:
    """Add a timing row to each cell: of "inference" or "training" at a batch size."""
    plan = session.plan
    measurements = [_first_call(run, step, batch_size) for run in living(runs)]
    ready = [m for m in measurements if m.ok]
    for turn in range(_rounds(plan, ready)):
        session.progress(f"{step}, batch {batch_size}, round {turn + 1}")
        for measurement in _in_turn(ready, turn):
            if not measurement.ok:
                continue
            try:
                answer = retry(partial(_burst, measurement))
                measurement.seconds.append(answer["seconds"])
            except (Lost, Failed) as error:
                measurement.row |= failure(error)
    baseline = next((m for m in ready if m.run.cell.column == plan.baseline), None)
    peak = max(run.head.get("matmul_gflops", 0.0) for run in runs)
    for measurement in ready:
        if measurement.ok:
            _fill(measurement, peak)
            if baseline is not None:
                _add_ratio(measurement, baseline)


def _first_call(run: CellRun, step: str, batch_size: int) -> _Measurement:
    """Make a step ready and add its row; the row says so if that is impossible."""
    row: ResultRow = {"row": "timing", **run.common(), "batch_size": batch_size}
    row |= {"what": step, "status": "ok", "error": None}
    measurement = _Measurement(run, row)
    too_large = [
        timing["batch_size"]
        for timing in run.timings
        if timing["what"] == step and "memory" in str(timing["error"]).lower()
    ]
    run.timings.append(row)
    if too_large:
        error = f"not tried: batch {too_large[0]} failed"
        row |= {"status": "failed", "error": error}
        return measurement
    run.session.progress(f"{step}, batch {batch_size}: first call of {run.title}")
    try:
        answer = retry(partial(run.ask, "first", what=step, batch=batch_size))
    except (Lost, Failed) as error:
        row |= failure(error)
        return measurement
    call_seconds = answer.pop("call_s")
    calls = max(1, min(_MOST_CALLS, round(_BURST / call_seconds)))
    row |= answer | {"calls": calls}
    measurement.pace = call_seconds * (calls + 1)  # one more warms the caches
    return measurement


def _burst(measurement: _Measurement) -> ResultRow:
    """Measure one round; a process that was lost makes the step ready again first."""
    run, row = measurement.run, measurement.row
    step = {"what": row["what"], "batch": row["batch_size"]}
    if not run.alive:
        run.ask("first", **step)
    return run.ask("burst", **step, calls=row["calls"])


def _rounds(plan: Plan, measurements: Sequence[_Measurement]) -> int:
    """Return how many rounds fit into the time that one batch size has."""
    pace = sum(m.pace for m in measurements)
    fit = int(plan.seconds / pace) if pace else 0
    return max(_LEAST_ROUNDS, min(plan.rounds, fit))


def _fill(measurement: _Measurement, peak: float) -> None:
    """Add times and work per second to a row; `peak` is the machine's GFLOP/s."""
    run, row, seconds = measurement.run, measurement.row, measurement.seconds
    time = median(seconds)
    row |= {
        "seconds": seconds,
        "median_s": time.value,
        "low_s": time.low,
        "high_s": time.high,
        "spread_s": spread(seconds),
        "examples_per_s": row["batch_size"] / time.value,
        "gflops": None,
        "share": None,
    }
    macs = run.head["macs"]
    if macs and run.cell.entry.recipe.precision in ("auto", "float32"):
        gflops = 2 * macs[row["what"]] * row["batch_size"] / time.value / 1e9
        row |= {"gflops": gflops, "share": gflops / peak if peak else None}


def _add_ratio(measurement: _Measurement, baseline: _Measurement) -> None:
    """Add the ratio to the baseline's rounds to a row, if both have all rounds."""
    if len(baseline.seconds) != len(measurement.seconds):
        return
    ratio = paired_ratio(measurement.seconds, baseline.seconds)
    measurement.row |= {
        "baseline": baseline.run.cell.column._asdict(),
        "baseline_seconds": baseline.seconds,
        "ratio": ratio.value,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "verdict": "baseline" if measurement is baseline else verdict(ratio),
    }


def _in_turn(items: list[_T], turn: int) -> list[_T]:
    """Return the items, another one first each time: none always follows the same."""
    shift = turn % len(items) if items else 0
    return items[shift:] + items[:shift]
