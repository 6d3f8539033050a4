"""One cell while it is measured: its process, and the rows about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from ..configs.arithmetic import multiply_adds
from ..registry import config_key
from ..version import versions
from . import modes
from .engine import Engine, Lost, Worker, environment
from .plan import Cell, Plan, job
from .results import ResultRow

_T = TypeVar("_T")


@dataclass(frozen=True)
class Session:
    """One run of a study, on one lane of its engine.

    Args:
        plan: the study's.
        engine, lane: where processes are started.
        id: of the run; each cell's row has it.
        progress: called with a line of text when something begins.
    """

    plan: Plan
    engine: Engine
    lane: int
    id: str
    progress: Callable[[str], object]

    def start(self, cell: Cell) -> Worker:
        """Start a process for a cell; raises Lost and Failed."""
        threads, device = self.plan.threads, self.plan.device
        variables = environment(threads, device, modes.find(*cell.column).env)
        return self.engine.start(job(cell, threads, device), variables, self.lane)


class CellRun:
    """A cell in this session.

    `head` is the cell's own row; `timings` and `trainings` are the rows of what was
    measured. `worker` is its process, once there is one.
    """

    def __init__(self, session: Session, cell: Cell) -> None:
        self.session, self.cell = session, cell
        self.worker: Worker | None = None
        self.head = self._head()
        self.timings: list[ResultRow] = []
        self.trainings: list[ResultRow] = []

    def _head(self) -> ResultRow:
        plan, cell, config = self.session.plan, self.cell, self.cell.entry.config
        macs = multiply_adds(config)
        return {
            "row": "cell",
            **self.common(),
            "batch_size": None,
            "key": plan.key(cell, self.session.engine.machine),
            "status": "ok",
            "error": None,
            "base": cell.entry.preset,
            "architecture": config_key(config),
            "config": config.to_dict(),
            "data": cell.entry.data,
            "threads": plan.threads,
            "parity": None,
            "macs": macs and {"inference": macs.inference, "training": macs.training},
            "versions": versions(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "session": self.session.id,
        }

    def common(self) -> ResultRow:
        """Return the fields that all rows of the cell share."""
        cell = self.cell
        return {
            "study": self.session.plan.name,
            "preset": cell.entry.label,
            "backend": cell.column.backend,
            "mode": cell.column.mode,
            "seed": cell.seed,
            "machine": self.session.engine.machine,  # until the worker reports its own
        }

    def rows(self) -> list[ResultRow]:
        """Return all rows of the cell."""
        rows = [self.head, *self.timings, *self.trainings]
        return [row | {"machine": self.head["machine"]} for row in rows]

    @property
    def title(self) -> str:
        """For people: "cnn in Keras, XLA, seed 0"."""
        return self.cell.title

    @property
    def ok(self) -> bool:
        """Whether the cell has not failed, and is not another network."""
        return self.head["status"] == "ok"

    def fail(self, error: Exception | str, status: str = "failed") -> None:
        """Give the cell up: nothing more is measured."""
        self.head["status"], self.head["error"] = status, str(error)
        self.session.progress(f"{self.title}: {error}")

    # the process

    @property
    def alive(self) -> bool:
        """Whether there is a process that answers."""
        return self.worker is not None and self.worker.alive

    def begin(self) -> ResultRow:
        """Start a process in place of the last one; return what it reports."""
        self.close()
        self.worker = self.session.start(self.cell)
        return self.worker.ask("begin") | self.worker.ask("build")

    def ask(self, do: str, **arguments: Any) -> ResultRow:
        """Ask the process; one that was lost is started anew first."""
        if not self.alive:
            self.session.progress(f"starting {self.title} anew")
            self.begin()
        assert self.worker is not None
        return self.worker.ask(do, **arguments)

    def close(self) -> None:
        """End the process, if there is one."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.close()


def living(runs: Iterable[CellRun]) -> list[CellRun]:
    """Return the cells that are still measured."""
    return [run for run in runs if run.ok]


def retry(call: Callable[[], _T]) -> _T:
    """Return what a call returns; if it loses its process, call it once more."""
    try:
        return call()
    except Lost:
        return call()


def failure(error: Exception) -> ResultRow:
    """Return a failed row's fields; `again` says that a later session may succeed."""
    accident = isinstance(error, Lost) and "memory" not in str(error)
    return {"status": "failed", "error": str(error), "again": accident}
