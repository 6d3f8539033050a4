"""`compare`: runs a study, one group of cells at a time, and keeps what is finished."""

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
from .cells import Session
from .engine import Engine, Local, Lost, Moved
from .group import Group
from .machine import host, source
from .plan import Cell, Column, Plan
from .results import FORMAT, Study, StudyFolder

_MOVES = 5  # machines that one group may lose
Progress = Callable[[int, int, str], object]  # groups done, groups in all, what begins


class Pending(NamedTuple):
    """Cells of one group that are still to be measured."""

    cells: list[Cell]  # to run: the baseline, too, which others are compared with
    wanted: list[Cell]  # those whose rows are kept


def compare(
    plan: Plan,
    out: str | os.PathLike[str],
    *,
    engine: Engine | None = None,
    overwrite: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> Study:
    """Run a study; finished cells are kept, and not measured again.

    Args:
        plan: what to compare, and how.
        out: the study's folder. After a crash, the same call continues there.
        engine: where the cells run; None: in processes on this machine.
        overwrite: replace another study in the folder.
        command: reproduces the study; its report shows it.
        progress: called with (groups done, groups in all, text) as things begin.

    Returns:
        The study's info and rows, also in `out`. A cell that failed has a row that says
        why, and so has one that is not the same network as the others.

    Raises:
        FileError: for a folder of another study, or one that another process uses.
        MissingBackendError: for a framework that is not installed.
    """
    _check_installed(plan)
    engine, folder = engine or Local(), StudyFolder(out)
    session = secrets.token_hex(4)
    with folder.claimed():
        info = folder.begin(_info(plan, command, session), overwrite)
        try:
            _run(plan, folder, engine, session, progress or (lambda *_: None))
        finally:
            rows = folder.collect(_keys(plan, engine))
    return Study(info, rows, plan.name)


def _check_installed(plan: Plan) -> None:
    for column in plan.columns:
        keras_engine = modes.find(*column).env.get("KERAS_BACKEND", "")
        needed = {"tensorflow": "tf"}.get(keras_engine, keras_engine)
        for backend in (column.backend, needed):
            if backend and not installed(backend):
                raise MissingBackendError(
                    f"{column.title} needs backend {backend!r}, which is not installed:"
                    f" in a checkout of zoo, run pip install '.[{backend}]', or leave"
                    f" {column} out."
                )


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


def pending(plan: Plan, folder: StudyFolder, machine: str) -> Iterator[Pending]:
    """Yield what is left to measure, a group at a time.

    A baseline is measured again beside the cells that are compared with it.
    """
    for cells in plan.groups():
        wanted = [c for c in cells if not folder.finished(plan.key(c, machine))]
        if any(c.column == plan.baseline for c in wanted):
            wanted = cells  # the others' ratios are to the baseline of their session
        if wanted:
            beside = {plan.baseline, _reference(cells)}
            yield Pending(
                [c for c in cells if c in wanted or c.column in beside], wanted
            )


def _reference(cells: list[Cell]) -> Column | None:
    """Return the first column that computes in float64: the proof needs one."""
    exact = (c.column for c in cells if modes.find(*c.column).exact)
    return next(exact, None)


def _run(
    plan: Plan, folder: StudyFolder, engine: Engine, session: str, progress: Progress
) -> None:
    groups, total = list(pending(plan, folder, engine.machine)), len(plan.groups())
    done, lock = total - len(groups), threading.Lock()
    lanes = list(range(engine.lanes))

    def measure(group: Pending) -> None:
        nonlocal done
        first = group.cells[0]
        title = f"{first.entry.label}, seed {first.seed}"

        def report(text: str) -> None:
            progress(done, total, f"{title}: {text}")

        with lock:
            lane = lanes.pop(0)
        try:
            finished = _finished(
                Session(plan, engine, lane, session, report), group.cells
            )
            with lock:
                for cell in group.wanted:
                    folder.finish(plan.key(cell, engine.machine), finished.rows(cell))
                folder.collect(_keys(plan, engine))
                done += 1
        finally:
            with lock:
                lanes.append(lane)

    if engine.lanes == 1:  # in this thread, so that Ctrl-C ends it at once
        for group in groups:
            measure(group)
        return
    with ThreadPoolExecutor(engine.lanes) as pool:
        futures = [pool.submit(measure, group) for group in groups]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            engine.close()  # its workers, so that no thread waits for an answer
            raise


def _finished(session: Session, cells: list[Cell]) -> Group:
    """Return a group that ran to its end on one machine."""
    for _ in range(_MOVES):
        group = Group(session, cells)
        try:
            with session.engine.held(session.lane):
                group.run()
            return group
        except Moved as error:
            session.progress(f"{error}; all of it begins anew on another")
        except Lost as error:  # there is no other
            raise ZooError(
                f"{cells[0].title}: {error}; run the same command to continue."
            ) from None
    raise ZooError(f"{cells[0].title}: moved {_MOVES} times and never ended.")
