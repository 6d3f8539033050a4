"""Where the time of a training step goes, by each framework's own profiler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import modes
from . import plan as plans
from .engine import Failed, Local, Lost, environment

TOP = 12


def profiles(plan: plans.Plan, folder: Path) -> list[dict[str, Any]]:
    """Profile one training step of each cell at the largest batch size.

    Returns a dict per cell: preset, backend, mode, batch_size, folder with the traces
    that the framework's own tools open, and its `operators`, the slowest first, each
    with its seconds in all and its calls; or `error`.
    """
    engine, batch = Local(), max(plan.batch_sizes)
    found = []
    for cells in plan.groups():
        for cell in cells:
            entry, column = cell.entry, cell.column
            row: dict[str, Any] = {
                "preset": entry.label,
                "backend": column.backend,
                "mode": column.mode,
                "batch_size": batch,
                "folder": str(folder / f"{entry.label}-{column.backend}-{column.mode}"),
            }
            job = plans.job(cell, plan.threads, plan.device)
            settings = environment(plan.threads, plan.device, modes.find(*column).env)
            try:
                worker = engine.start(job, settings)
                try:
                    worker.ask("begin")
                    worker.ask("build")
                    worker.ask("first", what="training", batch=batch)
                    told = worker.ask(
                        "profile", what="training", batch=batch, folder=row["folder"]
                    )
                    row["operators"] = told["operators"][:TOP]
                finally:
                    worker.close()
            except (Lost, Failed) as error:
                row["error"] = str(error)
            found.append(row)
    return found
