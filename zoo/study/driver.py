"""`compare`: runs a study, a group of cells at a time, and keeps what is done."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..errors import MissingBackendError, ZooError
from ..registry import installed
from ..version import __version__, versions
from . import modes
from .engine import Engine, Local, Lost, Moved
from .group import Group
from .machine import host, source
from .plan import Cell, Column, Plan
from .results import FORMAT, Study, StudyFolder

_MOVES = 5  # machines that one group may lose
Say = Callable[[int, int, str], object]  # groups done, groups in all, what begins


class Todo(NamedTuple):
    """Cells of one group that are to be measured."""

    cells: list[
        Cell
    ]  # the baseline among them, if only as what others are held against
    keep: list[Cell]  # those whose rows are wanted


def compare(
    plan: Plan,
    out: str | os.PathLike[str],
    *,
    engine: Engine | None = None,
    overwrite: bool = False,
    command: str = "",
    say: Say | None = None,
) -> Study:
    """Run a study; cells that are finished already are kept.

    Args:
        plan: what to compare, and how.
        out: the study's folder; killed at any moment, the same call goes on there.
        engine: where the cells run; None: in processes on this machine.
        overwrite: begin anew in a folder that holds another study.
        command: that reproduces the study, for its report.
        say: told (groups done, groups in all, text) as things begin.

    Returns:
        The study's info and rows, also in `out`. A cell that failed has a row that says
        why; so has one that is not the same network as the others.

    Raises:
        FileError: for a folder of another study, or one that another process uses.
        MissingBackendError: for a framework that is not installed.
    """
    for column in plan.columns:
        engines = modes.find(*column).env.get("KERAS_BACKEND", "")
        for backend in (column.backend, {"tensorflow": "tf"}.get(engines, engines)):
            if backend and not installed(backend):
                raise MissingBackendError(
                    f"{column.title} needs backend {backend!r}, which is not installed:"
                    f" in a checkout of zoo, run pip install '.[{backend}]', or leave"
                    f" {column} out."
                )
    engine, folder = engine or Local(), StudyFolder(out)
    session = secrets.token_hex(4)
    with folder.claimed():
        info = folder.begin(_info(plan, command, session), overwrite)
        try:
            _run(plan, folder, engine, session, say or (lambda *_: None))
        finally:
            rows = folder.collect(_keys(plan, engine))
    return Study(info, rows, plan.name)


def _info(plan: Plan, command: str, session: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    started = {"id": session, "started": now, "host": host(), "load": load}
    return {
        "format": FORMAT,
        "name": plan.name,
        "description": plan.description,
        "command": command,
        "created": now,
        "plan": plan.to_dict(),
        "zoo": {"version": __version__, "source": source()},
        "versions": versions(),
        "sessions": [started],
    }


def _keys(plan: Plan, engine: Engine) -> list[str]:
    machine = engine.machine
    return [plan.key(cell, machine) for cells in plan.groups() for cell in cells]


def _todos(plan: Plan, folder: StudyFolder, machine: str) -> Iterator[Todo]:
    """Give what is left to do; a baseline is measured again beside what it is for."""
    for cells in plan.groups():
        keep = [c for c in cells if not folder.finished(plan.key(c, machine))]
        if any(c.column == plan.baseline for c in keep):
            keep = cells  # the others' ratios are to the baseline that was beside them
        if keep:
            beside = {plan.baseline, _reference(cells)}
            yield Todo([c for c in cells if c in keep or c.column in beside], keep)


def _reference(cells: list[Cell]) -> Column | None:
    """Return the first column that computes in float64: the proof needs one."""
    exact = (c.column for c in cells if modes.find(*c.column).exact)
    return next(exact, None)


def _run(
    plan: Plan, folder: StudyFolder, engine: Engine, session: str, say: Say
) -> None:
    todos, total = list(_todos(plan, folder, engine.machine)), len(plan.groups())
    done, lock = total - len(todos), threading.Lock()
    lanes = list(range(engine.lanes))

    def one(todo: Todo) -> None:
        nonlocal done
        with lock:
            lane = lanes.pop(0)
        try:
            first = todo.cells[0]
            title = f"{first.entry.label}, seed {first.seed}"
            group = _measured(
                plan,
                todo.cells,
                engine,
                lane,
                session,
                lambda text: say(done, total, f"{title}: {text}"),
            )
            with lock:
                for cell in todo.keep:
                    folder.finish(plan.key(cell, engine.machine), group.rows(cell))
                folder.collect(_keys(plan, engine))
                done += 1
        finally:
            with lock:
                lanes.append(lane)

    if engine.lanes == 1:  # in this thread, so that Ctrl-C ends it at once
        for todo in todos:
            one(todo)
        return
    with ThreadPoolExecutor(engine.lanes) as pool:
        futures = [pool.submit(one, todo) for todo in todos]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            engine.close()  # its workers, so that no thread waits for an answer
            raise


def _measured(
    plan: Plan,
    cells: list[Cell],
    engine: Engine,
    lane: int,
    session: str,
    say: Callable[[str], object],
) -> Group:
    """Return a group that ran to its end on one machine."""
    for _ in range(_MOVES):
        group = Group(plan, cells, engine, lane, session, say)
        try:
            with engine.held(lane):
                group.run()
            return group
        except Moved as why:
            say(f"{why}; all of it begins anew on another")
        except Lost as why:  # there is no other
            raise ZooError(
                f"{cells[0].title}: {why}; the same command goes on."
            ) from None
    raise ZooError(f"{cells[0].title}: moved {_MOVES} times and never ended.")
