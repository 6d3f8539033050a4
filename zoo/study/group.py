"""The cells of one network and one seed: proven, timed in turn, trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from .cells import CellRun, Session, failure, living, retry
from .engine import Failed, Lost
from .plan import Cell
from .proving import Prover
from .results import STEPS, ResultRow
from .timing import measure_peak, time_step


class Group:
    """The measurements of one group; `rows` returns the results of a cell.

    Args:
        session: with the study's plan, and where processes are started.
        cells: what to measure, the baseline first if something is timed.
    """

    def __init__(self, session: Session, cells: Sequence[Cell]) -> None:
        self.session = session
        self.runs = {cell.title: CellRun(session, cell) for cell in cells}

    def run(self) -> None:
        """Prove, time and train; a cell that fails has a row that says why."""
        plan, runs = self.session.plan, list(self.runs.values())
        if plan.proof:
            Prover(self.session, runs).prove()
        try:
            for run in living(runs):
                _build(run)
            if plan.batch_sizes:
                measure_peak(self.session, runs)
                for step in STEPS:
                    for batch_size in plan.batch_sizes:
                        time_step(self.session, runs, step, batch_size)
            for run in living(runs):
                _measure_file(run)
            if plan.train:
                for run in living(runs):
                    _train(run)
        finally:
            for run in runs:
                run.close()

    def rows(self, cell: Cell) -> list[ResultRow]:
        """Return the rows of a cell."""
        return self.runs[cell.title].rows()


def _build(run: CellRun) -> None:
    run.session.progress(f"building {run.title}")
    try:
        answer = retry(run.begin)
        machine = answer["host"].pop("id")
        run.head |= answer | {"machine": machine}
    except (Lost, Failed) as error:
        run.fail(error)


def _measure_file(run: CellRun) -> None:
    try:
        run.head |= retry(partial(run.ask, "file"))
    except (Lost, Failed) as error:
        run.fail(error)


def _train(run: CellRun) -> None:
    entry, target = run.cell.entry, run.session.plan.target
    run.session.progress(f"training {run.title}")
    recipe = entry.recipe.override(seed=run.cell.seed)
    row: ResultRow = {
        "row": "training",
        **run.common(),
        "batch_size": recipe.batch_size,
        "data": entry.data,
        "recipe": json.loads(recipe.to_json()),
        "status": "ok",
        "error": None,
    }
    try:
        row |= retry(partial(run.ask, "train", timeout=None, target=target))
    except (Lost, Failed) as error:
        row |= failure(error)
    run.trainings.append(row)
