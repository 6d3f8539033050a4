"""The cells of one network and one seed: proven, timed in turn, trained.

Workers of all columns live side by side, but one alone is at work: a round asks each of
them in turn, so that a drift of the machine meets all alike, and the ratio of two
columns is taken within a round.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, TypeVar

from ..configs.arithmetic import multiply_adds
from ..parity.tolerance import REDRAWS
from ..registry import config_key
from ..version import versions
from . import modes, proof
from .engine import Engine, Failed, Lost, Worker, environment
from .intervals import median, paired_ratio, spread, verdict
from .plan import Cell, Plan, job
from .results import STEPS, ResultRow

_BURST = 0.06  # seconds that one measurement takes, where a call is shorter
_LEAST = 5  # rounds, however slow
_PEAK_ROUNDS, _PEAK_CALLS = 5, 10
Arrays = dict[str, Any]
_T = TypeVar("_T")


class Group:
    """One group's measurements; `rows` gives what is known of each cell.

    Args:
        plan: of the study.
        cells: to measure, with the baseline's first where there is something to time.
        engine, lane: where.
        session: id of this run of the study.
        say: told what begins.
    """

    def __init__(
        self,
        plan: Plan,
        cells: Sequence[Cell],
        engine: Engine,
        lane: int,
        session: str,
        say: Callable[[str], object],
    ) -> None:
        self.plan, self.cells, self.engine, self.lane = plan, list(cells), engine, lane
        self.say = say
        self.entry, self.seed = cells[0].entry, cells[0].seed
        macs = multiply_adds(self.entry.config)
        self.macs = macs and {"inference": macs.inference, "training": macs.training}
        self.heads = {c.title: self._head(c, session) for c in cells}
        self.timings: dict[str, list[ResultRow]] = {c.title: [] for c in cells}
        self.trainings: dict[str, list[ResultRow]] = {c.title: [] for c in cells}
        self.workers: dict[str, Worker] = {}
        self._provers: list[Worker] = []
        self._pace: dict[str, float] = {}  # seconds of one measurement

    def _common(self, cell: Cell) -> ResultRow:
        return {
            "study": self.plan.name,
            "preset": cell.entry.label,
            "backend": cell.column.backend,
            "mode": cell.column.mode,
            "seed": cell.seed,
            "machine": self.engine.machine,  # until a worker tells its own
        }

    def _head(self, cell: Cell, session: str) -> ResultRow:
        config = self.entry.config
        return {
            "row": "cell",
            **self._common(cell),
            "batch_size": None,
            "key": self.plan.key(cell, self.engine.machine),
            "status": "ok",
            "error": None,
            "base": self.entry.preset,
            "architecture": config_key(config),
            "config": config.to_dict(),
            "data": self.entry.data,
            "threads": self.plan.threads,
            "parity": None,
            "macs": self.macs,
            "versions": versions(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "session": session,
        }

    def run(self) -> None:
        """Prove, time and train; what fails is told in the rows, and left alone."""
        if self.plan.proof:
            self._prove()
        with ExitStack() as stack:
            stack.callback(self._close_all)
            for cell in self._living():
                self._start(cell)
            if self.plan.batch_sizes:
                self._matmuls()
                for what in STEPS:
                    for batch in self.plan.batch_sizes:
                        self._time(what, batch)
            for cell in self._living():
                self._weigh(cell)
            if self.plan.train:
                for cell in self._living():
                    self._train(cell)

    def rows(self, cell: Cell) -> list[ResultRow]:
        """Return the rows of a cell."""
        name = cell.title
        found = [self.heads[name], *self.timings[name], *self.trainings[name]]
        return [row | {"machine": found[0]["machine"]} for row in found]

    def _living(self) -> list[Cell]:
        return [c for c in self.cells if self.heads[c.title]["status"] == "ok"]

    def _fail(self, cell: Cell, error: Exception | str, status: str = "failed") -> None:
        head = self.heads[cell.title]
        head["status"], head["error"] = status, str(error)
        self.say(f"{cell.title}: {error}")

    def _worker(self, cell: Cell) -> Worker:
        threads, extra = self.plan.threads, modes.find(*cell.column).env
        settings = environment(threads, self.plan.device, extra)
        told = job(cell, threads, self.plan.device)
        return self.engine.start(told, settings, self.lane)

    # the proof: nothing is timed, so as many at a time as there are threads

    def _prove(self) -> None:
        exact = [c for c in self.cells if modes.find(*c.column).exact]
        if len(self.cells) < 2 or not exact:
            why = "one column alone" if exact else "no column computes in float64"
            self._unproven(f"nothing to compare with: {why}")
            return
        for seed in range(REDRAWS):
            self.say("proving that all columns are the same network")
            doubles, singles = self._proofs(exact, seed)
            if len({*doubles, *singles}) < 2 or not doubles:
                self._unproven("nothing to compare with: the others failed", again=True)
                return
            reference = next(c for c in exact if c.title in doubles)
            rungs = proof.judge(reference.title, doubles, singles)
            if not proof.flipped(rungs):
                break
        for cell in self._living():
            rows = rungs[cell.title]
            odd = [r for r in rows if not r["ok"]]
            self.heads[cell.title]["parity"] = {
                "reference": str(reference.column),
                "ok": not odd,
                "inputs_seed": seed,
                "rungs": rows,
            }
            if odd:
                at = f" at {odd[0]['where']}" if odd[0]["where"] else ""
                error = "NaN" if odd[0]["error"] is None else f"{odd[0]['error']:.1e}"
                self._fail(
                    cell,
                    f"not the same network: {odd[0]['name']} in {odd[0]['dtype']} is"
                    f" {error} of scale off{at}; {odd[0]['tolerance']:.1e} is allowed",
                    "differs",
                )

    def _unproven(self, why: str, again: bool = False) -> None:
        for cell in self._living():
            told = {"ok": None, "missing": why, "again": again}
            self.heads[cell.title]["parity"] = told

    def _proofs(
        self, exact: Sequence[Cell], seed: int
    ) -> tuple[dict[str, Arrays], dict[str, Arrays]]:
        doubles: dict[str, Arrays] = {}
        singles: dict[str, Arrays] = {}

        def one(cell: Cell) -> None:
            kinds = [d for d in self.plan.proof if d == "float32" or cell in exact]
            try:
                found = _again(lambda: self._proof(cell, seed, kinds))
            except (Lost, Failed) as error:
                self._fail(cell, error)
                return
            for kind, arrays in found.items():
                (doubles if kind == "float64" else singles)[cell.title] = arrays

        pool = ThreadPoolExecutor(max(1, self.plan.threads))
        try:
            list(pool.map(one, self._living()))
        except BaseException:  # such as Ctrl-C: none waits for an answer any more
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in list(self._provers):
                worker.close()
            raise
        pool.shutdown()
        return doubles, singles

    def _proof(self, cell: Cell, seed: int, kinds: Sequence[str]) -> dict[str, Arrays]:
        worker = self._worker(cell)
        self._provers.append(worker)
        try:
            worker.ask("begin")
            return {k: worker.ask("prove", dtype=k, inputs_seed=seed) for k in kinds}
        finally:
            worker.close()

    # the clock

    def _start(self, cell: Cell) -> None:
        """Let a worker begin and build; one that dies has a second try."""
        self.say(f"building {cell.title}")
        try:
            told = _again(lambda: self._begun(cell))
            machine = told["host"].pop("id")
            self.heads[cell.title] |= told | {"machine": machine}
        except (Lost, Failed) as error:
            self._fail(cell, error)

    def _begun(self, cell: Cell) -> ResultRow:
        if cell.title in self.workers:
            self.workers.pop(cell.title).close()
        self.workers[cell.title] = worker = self._worker(cell)
        return worker.ask("begin") | worker.ask("build")

    def _matmuls(self) -> None:
        """Measure the machine by each framework's own matrix product."""
        found: dict[str, list[float]] = {c.title: [] for c in self._living()}
        self.say("measuring the machine's matrix product")
        for turn in range(_PEAK_ROUNDS):
            for cell in _turned(self._living(), turn):
                try:
                    told = _again(
                        lambda c=cell: self._ask(c, "matmul", calls=_PEAK_CALLS)
                    )
                    found[cell.title].append(told["gflops"])
                except (Lost, Failed) as error:
                    self._fail(cell, error)
        for cell in self._living():
            self.heads[cell.title]["matmul_gflops"] = statistics.median(
                found[cell.title]
            )

    def _time(self, what: str, batch: int) -> None:
        ready: dict[str, ResultRow] = {}
        for cell in self._living():
            row = self._timing(cell, what, batch)
            self.timings[cell.title].append(row)
            if row["status"] == "ok":
                ready[cell.title] = row
        cells = [c for c in self._living() if c.title in ready]
        seconds: dict[str, list[float]] = {name: [] for name in ready}
        for turn in range(self._rounds(ready)):
            self.say(f"{what}, batch {batch}, round {turn + 1}")
            for cell in _turned(cells, turn):
                row = ready.get(cell.title)
                if row is None:
                    continue
                try:
                    told = _again(lambda c=cell, r=row: self._burst(c, r))
                    seconds[cell.title].append(told["seconds"])
                except (Lost, Failed) as error:
                    del ready[cell.title]
                    row |= _failure(error)
        base = next((c.title for c in cells if c.column == self.plan.baseline), None)
        for name, row in ready.items():
            self._tell(row, seconds[name], seconds.get(base or ""), name == base)

    def _timing(self, cell: Cell, what: str, batch: int) -> ResultRow:
        """Return the row of a call that was made ready, or of one that cannot be."""
        row: ResultRow = {"row": "timing", **self._common(cell), "batch_size": batch}
        row |= {"what": what, "status": "ok", "error": None}
        full = [
            t
            for t in self.timings[cell.title]
            if t["what"] == what and "memory" in str(t["error"]).lower()
        ]
        if full:
            why = f"not tried: batch {full[0]['batch_size']} failed"
            return row | {"status": "failed", "error": why}
        self.say(f"{what}, batch {batch}: first call of {cell.title}")
        try:
            told = _again(lambda: self._ask(cell, "first", what=what, batch=batch))
        except (Lost, Failed) as error:
            return row | _failure(error)
        once = told.pop("call_s")
        calls = max(1, min(50, round(_BURST / once)))
        self._pace[cell.title] = once * (calls + 1)  # one more warms the caches
        return row | told | {"calls": calls}

    def _burst(self, cell: Cell, row: ResultRow) -> ResultRow:
        """Measure; a worker that was lost since then makes the call ready again."""
        what = {"what": row["what"], "batch": row["batch_size"]}
        if not self._lives(cell):
            self._ask(cell, "first", **what)
        return self._ask(cell, "burst", **what, calls=row["calls"])

    def _lives(self, cell: Cell) -> bool:
        worker = self.workers.get(cell.title)
        return worker is not None and worker.alive

    def _ask(self, cell: Cell, do: str, **arguments: Any) -> ResultRow:
        """Ask a worker; one that was lost is started anew first."""
        if not self._lives(cell):
            self.say(f"starting {cell.title} anew")
            self._begun(cell)
        return self.workers[cell.title].ask(do, **arguments)

    def _rounds(self, names: Iterable[str]) -> int:
        """Return how many rounds fit into the time that one batch size has."""
        once = sum(self._pace[name] for name in names)
        fit = int(self.plan.seconds / once) if once else 0
        return max(_LEAST, min(self.plan.rounds, fit))

    def _tell(
        self,
        row: ResultRow,
        seconds: list[float],
        base: list[float] | None,
        is_base: bool,
    ) -> None:
        """Fill a timing row from its rounds and those of the baseline."""
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
        peak = max(h.get("matmul_gflops", 0.0) for h in self.heads.values())
        if self.macs and self.entry.recipe.precision in ("auto", "float32"):
            done = 2 * self.macs[row["what"]] * row["batch_size"] / time.value / 1e9
            row |= {"gflops": done, "share": done / peak if peak else None}
        if base is not None and len(base) == len(seconds):
            ratio = paired_ratio(seconds, base)
            assert self.plan.baseline is not None
            row |= {
                "baseline": self.plan.baseline._asdict(),
                "baseline_seconds": base,
                "ratio": ratio.value,
                "ratio_low": ratio.low,
                "ratio_high": ratio.high,
                "verdict": "baseline" if is_base else verdict(ratio),
            }

    def _weigh(self, cell: Cell) -> None:
        try:
            self.heads[cell.title] |= _again(lambda: self._ask(cell, "file"))
        except (Lost, Failed) as error:
            self._fail(cell, error)

    # training

    def _train(self, cell: Cell) -> None:
        recipe = cell.entry.recipe
        self.say(f"training {cell.title}")
        row: ResultRow = {"row": "training", **self._common(cell)}
        row |= {"batch_size": recipe.batch_size, "data": cell.entry.data}
        recipe = recipe.override(seed=cell.seed)
        row |= {"recipe": json.loads(recipe.to_json()), "status": "ok", "error": None}

        target = self.plan.target
        try:
            row |= _again(lambda: self._ask(cell, "train", timeout=None, target=target))
        except (Lost, Failed) as error:
            row |= _failure(error)
        self.trainings[cell.title].append(row)

    def _close_all(self) -> None:
        for worker in self.workers.values():
            worker.close()


def _failure(error: Exception) -> ResultRow:
    """Return what a row says of a failure; an accident is tried `again` some day."""
    accident = isinstance(error, Lost) and "memory" not in str(error)
    return {"status": "failed", "error": str(error), "again": accident}


def _again(call: Callable[[], _T]) -> _T:
    """Return what a call gives; where it loses a worker, it has a second try."""
    try:
        return call()
    except Lost:
        return call()


def _turned(cells: list[Cell], turn: int) -> list[Cell]:
    """Return the cells, another one first each time: none always follows the same."""
    shift = turn % len(cells) if cells else 0
    return cells[shift:] + cells[:shift]
