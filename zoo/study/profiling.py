"""Where the time of a training step goes, by each framework's own profiler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import modes
from .engine import Engine, Failed, Local, Lost, environment
from .plan import Cell, Plan, job

TOP = 12  # operators of each cell


def profiles(plan: Plan, folder: Path) -> list[dict[str, Any]]:
    """Profile one training step of each cell at the largest batch size.

    Returns a dict per cell: preset, backend, mode, batch_size, the folder with traces
    for the framework's own tools, and `operators`, the slowest first, each with its
    total seconds and its calls; or `error`.
    """
    engine = Local()
    return [
        _profile(engine, plan, cell, folder)
        for cells in plan.groups()
        for cell in cells
    ]


def _profile(engine: Engine, plan: Plan, cell: Cell, folder: Path) -> dict[str, Any]:
    label, (backend, mode) = cell.entry.label, cell.column
    batch_size = max(plan.batch_sizes)
    row: dict[str, Any] = {
        "preset": label,
        "backend": backend,
        "mode": mode,
        "batch_size": batch_size,
        "folder": str(folder / f"{label}-{backend}-{mode}"),
    }
    variables = environment(plan.threads, plan.device, modes.find(backend, mode).env)
    try:
        worker = engine.start(job(cell, plan.threads, plan.device), variables)
        try:
            worker.ask("begin")
            worker.ask("build")
            step = {"what": "training", "batch": batch_size}
            worker.ask("first", **step)
            answer = worker.ask("profile", **step, folder=row["folder"])
        finally:
            worker.close()
    except (Lost, Failed) as error:
        return row | {"error": str(error)}
    return row | {"operators": answer["operators"][:TOP]}
