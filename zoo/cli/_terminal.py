"""How commands print, show progress, and keep frameworks quiet."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import MissingBackendError
from ..registry import get_backend

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 200  # columns where there is no terminal


def short_path(path: Path) -> str:
    """Return a path, relative to the working directory if it is inside it."""
    folder = Path.cwd()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def stdout() -> Console:
    """Return a console for results: plain and wide if stdout is no terminal."""
    return _console(stderr=False)


def stderr() -> Console:
    """Return a console for progress."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # `zoo.cli` ends the process

    console = Terminal(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def print_table(console: Console, table: Any) -> None:
    """Print a table; without lines if stdout is no terminal."""
    if console.is_terminal:
        console.print(table)
        return
    table.box = None
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def print_text(console: Console, text: str, style: str = "") -> None:
    """Print text; wrap its lines if stdout is a terminal."""
    console.print(text, style=style, markup=False, soft_wrap=not console.is_terminal)


@contextmanager
def progress(total: int, plain: bool = False) -> Iterator[Callable[[int, str], None]]:
    """Yield a function of (done, text) that updates a bar on stderr.

    The bar is shown while the block runs, which must not print on stdout: it would
    break the bar. If stderr is no terminal nothing is shown, or with `plain` a line as
    each of the `total` items begins.
    """
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    console = stderr()
    if not console.is_terminal:
        yield _lines(total) if plain else lambda done, text: None
        return
    columns: list[ProgressColumn] = [SpinnerColumn(), TimeElapsedColumn()]
    if total > 1:
        columns[1:1] = [BarColumn(16), TextColumn("{task.completed}/{task.total}")]
    text = TextColumn("{task.description}")
    with Progress(
        *columns, text, console=console, transient=True, redirect_stdout=False
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, text: bar.update(task, completed=done, description=text)


def _lines(total: int) -> Callable[[int, str], None]:
    last = ""

    def print_line(done: int, text: str) -> None:
        nonlocal last
        name, colon, _ = text.partition(":")
        if colon and name != last:
            click.echo(f"[{done + 1}/{total}] {name}", err=True)
            last = name

    return print_line


def load_backends(
    names: Sequence[str], report: Callable[[str], object], least: int = 0
) -> list[str]:
    """Import frameworks quietly; return the backends of those installed.

    Raises MissingBackendError if fewer than `least` are.
    """
    loaded: list[str] = []
    for name in names:
        report(f"loading {name}")
        try:
            with _muted():
                get_backend(name)
        except MissingBackendError:
            if least == 1:  # nothing is compared: the backend's own error fits
                raise
            continue
        loaded.append(name)
    if len(loaded) < least:
        raise MissingBackendError(
            f"this compares frameworks, and of {', '.join(names)} only"
            f" {', '.join(loaded) or 'none'} is installed: in a checkout of zoo, run"
            " pip install '.[all]'."
        )
    return loaded


@contextmanager
def _muted() -> Iterator[None]:
    """Keep file descriptor 2 quiet, but not Python's `sys.stderr`.

    TensorFlow logs while it is imported, in spite of TF_CPP_MIN_LOG_LEVEL. If the
    block fails, the suppressed output is written after all.
    """
    ours = sys.stderr
    ours.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as swallowed:
        try:
            if _fileno(ours) == 2:
                sys.stderr = open(real, "w", buffering=1, closefd=False)  # noqa: SIM115
            os.dup2(swallowed.fileno(), 2)
            yield
        except Exception as error:
            if not isinstance(error, MissingBackendError):
                swallowed.seek(0)
                os.write(real, swallowed.read())
            raise
        finally:
            sys.stderr.flush()
            sys.stderr = ours
            os.dup2(real, 2)
            os.close(real)


def _fileno(stream: Any) -> int | None:
    try:
        return stream.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return None
