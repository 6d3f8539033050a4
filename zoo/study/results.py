"""A study's folder, and the rows in it (docs/studies.md).

    study.json      the plan, the command, when and where it ran
    cells/KEY.json  the rows of a finished cell; KEY is the hash of all they depend on
    results.jsonl   the rows of all finished cells of the plan, one JSON object a line
    report.html     the same for people

A cell's file is written whole or not at all; the other two are made from these files.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import FileError
from ..files.atomic import write_text

FORMAT = 1
ROWS = ("cell", "timing", "training")
STEPS = ("inference", "training")  # what is timed: the field `what` of a row
ResultRow = dict[str, Any]


class Study(NamedTuple):
    """The contents of a study's folder, or of a file of results."""

    info: dict[str, Any]  # study.json; empty for a results.jsonl without it
    rows: list[ResultRow]
    label: str


class StudyFolder:
    """A study's folder."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.study, self.results = self.path / "study.json", self.path / "results.jsonl"
        self.cells, self.report = self.path / "cells", self.path / "report.html"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other processes from writing here while the block runs."""
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / ".lock", os.O_CREAT | os.O_RDWR)
        except OSError as error:
            raise _write_error(self.path, error) from None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise FileError(
                    f"another zoo compare is writing to {self.path}: wait for it, or"
                    " choose another folder with --out."
                ) from None
            yield
        finally:
            os.close(handle)  # also releases the lock, as the end of the process does

    def begin(self, info: Mapping[str, Any], overwrite: bool) -> dict[str, Any]:
        """Write study.json; return it. Earlier sessions of the same study are kept."""
        info = dict(info)
        if self.study.exists() and not overwrite:
            old = read_json(self.study)
            field = _differs(old.get("plan"), info["plan"])
            if field:
                raise FileError(
                    f"{self.path} holds another study ({old.get('name', '?')}; its"
                    f" {field} differ): choose another folder with --out, or add"
                    " --overwrite."
                )
            info["created"] = old.get("created", info["created"])
            info["sessions"] = [*old.get("sessions", []), *info["sessions"]]
        elif overwrite:  # finished cells stay: the new study may have the same ones
            for path in (self.results, self.report):
                path.unlink(missing_ok=True)
        elif any(self.path.glob("results.jsonl")):
            raise FileError(
                f"{self.path} holds results without study.json: choose another folder."
            )
        write_json(self.study, info)
        return info

    def rows(self, key: str) -> list[ResultRow]:
        """Return the rows of a cell; without its file, or if that is damaged, none."""
        try:
            rows = json.loads((self.cells / f"{key}.json").read_text())
            return rows if isinstance(rows, list) else []
        except (OSError, ValueError):
            return []

    def finished(self, key: str) -> bool:
        """Return whether a cell need not run again.

        It must if it failed, if it lost its process while it was measured, or if there
        was no other cell to compare it with.
        """
        rows = self.rows(key)
        if not rows or rows[0].get("status") not in ("ok", "differs"):
            return False
        unproven = (rows[0].get("parity") or {}).get("again", False)
        return not unproven and not any(row.get("again") for row in rows)

    def finish(self, key: str, rows: Sequence[ResultRow]) -> None:
        """Keep the rows of a cell."""
        write_json(self.cells / f"{key}.json", list(rows))

    def collect(self, keys: Sequence[str]) -> list[ResultRow]:
        """Write results.jsonl anew from the finished cells; return its rows."""
        rows = [row for key in keys for row in self.rows(key)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_text(self.results, text)
        return rows


def _differs(old: Any, new: ResultRow) -> str | None:
    """Return the first field in which two plans differ, names aside; or None."""
    if not isinstance(old, dict):
        return "plan"
    ignored = ("name", "description")
    return next((k for k in new if k not in ignored and old.get(k) != new[k]), None)


def _write_error(path: Path, error: OSError) -> FileError:
    return FileError(f"cannot write {path}: {error.strerror or error}.")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    text = json.dumps(value, indent=1) + "\n"
    write_text(path, text)


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object; raises FileError for anything else."""
    try:
        value = json.loads(path.read_text())
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}.") from None
    except ValueError as error:
        raise FileError(f"{path} is damaged: {error}.") from None
    if not isinstance(value, dict):
        raise FileError(f"{path} is damaged: it holds no JSON object.")
    return value


def read(path: str | os.PathLike[str]) -> tuple[Study, list[str]]:
    """Return a study, from its folder or its results.jsonl, and notes.

    A line that is no row, such as the last one of a file that was cut off, is skipped;
    a note says so.

    Raises FileError if there are no results at all.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    file = path / "results.jsonl" if path.is_dir() else path
    try:
        lines = file.read_bytes().decode(errors="replace").splitlines()
    except OSError as error:
        raise FileError(
            f"cannot read {file}: {error.strerror}; zoo report takes a folder of zoo"
            " compare, or its results.jsonl."
        ) from None
    rows, notes = [], []
    for number, line in enumerate(lines, 1):
        row = _row(line)
        if row is None:
            notes.append(f"{file}, line {number} is no row of a study; left out.")
        else:
            rows.append(row)
    if not rows:
        raise FileError(f"{file} holds no results: run zoo compare first.")
    info: dict[str, Any] = {}
    if (folder / "study.json").exists():
        info = read_json(folder / "study.json")
    name = info.get("name") or rows[0].get("study") or file.stem
    return Study(info, rows, str(name)), notes


def _row(line: str) -> ResultRow | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    common = {"preset": str, "backend": str, "mode": str, "seed": int}
    if not isinstance(row, dict) or row.get("row") not in ROWS:
        return None
    if row["row"] == "timing":
        common |= {"what": str, "batch_size": int}
    return row if all(isinstance(row.get(k), t) for k, t in common.items()) else None
