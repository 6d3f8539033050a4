"""The command line of the benchmarks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from . import loop, speed, startup
from .report import Row, document, table

BACKENDS = ("torch", "tf", "jax")
NAMES = (*speed.CASES, "loop", "startup")
Job = tuple[str, Callable[[], Iterable[Row]]]


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[NAME]...")
@click.option("--backend", type=click.Choice(BACKENDS), help="One backend only.")
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--quick", is_flag=True, help="Tiny sizes, to try the harness itself.")
@click.option("--cpu", is_flag=True, help="CPU time on one core, for a busy machine.")
def main(
    names: tuple[str, ...],
    backend: str | None,
    path: Path | None,
    quick: bool,
    cpu: bool,
) -> None:
    """Time the zoo against plain native peers; NAME is a preset, loop, or startup.

    The exit code is 1 if a target was missed or a measurement failed.
    """
    backends = (backend,) if backend else BACKENDS
    errors = Console(stderr=True)
    mode = speed.Mode(quick, cpu)
    rows: list[Row] = []
    jobs = list(_jobs(names or NAMES, backends, mode))
    with errors.status("") as status:
        for i, (title, job) in enumerate(jobs, 1):
            status.update(f"[{i}/{len(jobs)}] {title}")
            rows.extend(job())
            if path:  # after each job, so that an interruption loses little
                path.write_text(
                    json.dumps(document(rows, **mode._asdict()), indent=1) + "\n"
                )
    Console().print(table(rows))
    for row in rows:
        if row.error:
            errors.print(f"{row.name} {row.backend} {row.what}: {row.error}")
    sys.exit(any(row.verdict != "ok" for row in rows))


def _jobs(
    names: Iterable[str], backends: tuple[str, ...], mode: speed.Mode
) -> Iterator[Job]:
    for name in names:
        if name == "startup":
            yield from _startup_jobs(backends, mode.quick)
            continue
        if name == "loop":
            yield from _loop_jobs(backends, mode)
            continue
        for backend in backends:
            if backend in speed.CASES[name].backends:
                yield f"{name} {backend}", partial(speed.rows, name, backend, mode)


def _loop_jobs(backends: tuple[str, ...], mode: speed.Mode) -> Iterator[Job]:
    for name in loop.CASES:
        for backend in backends:
            yield f"{name} loop {backend}", partial(loop.rows, name, backend, mode)


def _startup_jobs(backends: tuple[str, ...], quick: bool) -> Iterator[Job]:
    yield "import zoo, zoo list", partial(startup.cpu_rows, quick)
    for backend in backends:
        for source in (None, *(b for b in BACKENDS if b != backend)):
            title = f"resnet50 {source or 'build'} -> {backend}"
            yield title, partial(startup.model_rows, source, backend, quick)


if __name__ == "__main__":
    main()
