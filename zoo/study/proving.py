"""Runs the proof of a group: every cell computes the same things, then all are judged.

Nothing is timed meanwhile, so as many cells compute at once as the plan has threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ..parity.tolerance import REDRAWS
from . import modes, proof
from .cells import CellRun, Session, living, retry
from .engine import Failed, Lost, Worker
from .results import ResultRow

Arrays = dict[str, Any]


class Prover:
    """Proves that the cells of a group are the same network.

    Each cell's head gets its `parity`; a cell that fails or differs is given up.
    """

    def __init__(self, session: Session, runs: Sequence[CellRun]) -> None:
        self.session, self.runs = session, runs
        self.exact = [r for r in runs if modes.find(*r.cell.column).exact]
        self._workers: list[Worker] = []

    def prove(self) -> None:
        """Compare all cells; other inputs are drawn where units flipped in float32."""
        if len(self.runs) < 2 or not self.exact:
            why = "one column alone" if self.exact else "no column computes in float64"
            self._unproven(f"nothing to compare with: {why}")
            return
        for inputs_seed in range(REDRAWS):
            self.session.progress("proving that all columns are the same network")
            doubles, singles = self._compute(inputs_seed)
            if len({*doubles, *singles}) < 2 or not doubles:
                self._unproven("nothing to compare with: the others failed", again=True)
                return
            reference = next(r for r in self.exact if r.title in doubles)
            rungs = proof.judge(reference.title, doubles, singles)
            if not proof.flipped(rungs):
                break
        for run in living(self.runs):
            failed = [rung for rung in rungs[run.title] if not rung["ok"]]
            run.head["parity"] = {
                "reference": str(reference.cell.column),
                "ok": not failed,
                "inputs_seed": inputs_seed,
                "rungs": rungs[run.title],
            }
            if failed:
                run.fail(_difference(failed[0]), "differs")

    def _unproven(self, why: str, again: bool = False) -> None:
        for run in living(self.runs):
            run.head["parity"] = {"ok": None, "missing": why, "again": again}

    def _compute(self, inputs_seed: int) -> tuple[dict[str, Arrays], dict[str, Arrays]]:
        """Return what each cell computed in float64, and in float32, by its title."""
        doubles: dict[str, Arrays] = {}
        singles: dict[str, Arrays] = {}

        def compute(run: CellRun) -> None:
            dtypes = [
                dtype
                for dtype in self.session.plan.proof
                if dtype == "float32" or run in self.exact
            ]
            try:
                results = retry(partial(self._ask, run, dtypes, inputs_seed))
            except (Lost, Failed) as error:
                run.fail(error)
                return
            for dtype, arrays in results.items():
                (doubles if dtype == "float64" else singles)[run.title] = arrays

        pool = ThreadPoolExecutor(max(1, self.session.plan.threads))
        try:
            list(pool.map(compute, living(self.runs)))
        except BaseException:  # such as Ctrl-C: no thread may wait for an answer
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in list(self._workers):
                worker.close()
            raise
        pool.shutdown()
        return doubles, singles

    def _ask(
        self, run: CellRun, dtypes: Sequence[str], inputs_seed: int
    ) -> dict[str, Arrays]:
        """Return the arrays of one cell by dtype, from a process of their own."""
        worker = self.session.start(run.cell)
        self._workers.append(worker)
        try:
            worker.ask("begin")
            return {
                dtype: worker.ask("prove", dtype=dtype, inputs_seed=inputs_seed)
                for dtype in dtypes
            }
        finally:
            worker.close()


def _difference(rung: ResultRow) -> str:
    at = f" at {rung['where']}" if rung["where"] else ""
    error = "NaN" if rung["error"] is None else f"{rung['error']:.1e}"
    return (
        f"not the same network: {rung['name']} in {rung['dtype']} is {error} of scale"
        f" off{at}; {rung['tolerance']:.1e} is allowed"
    )
