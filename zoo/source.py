"""The source code of twins, cut from their files and aligned side by side.

The files are found by convention, then read and parsed; no framework is imported.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from .configs._base import Config

# The one method that each framework names differently.
_FORWARD = ("forward", "call", "__call__")
_METHOD = re.compile(r"    (?:async )?def (\w+)")
_STEP = re.compile(r"\s*# § (.+)")

Key = tuple[str, str, str, int]  # definition, method, step, number of equal ones before


class Part(NamedTuple):
    """Some consecutive lines of one twin; parts of equal key stand side by side."""

    key: Key
    start: int  # line index in the cut
    stop: int


class Cut(NamedTuple):
    """The code of one twin that is shown."""

    path: Path
    line: int  # of the first definition, from 1
    code: str
    parts: list[Part]


def twin_file(config: Config, backend: str) -> Path:
    """Return the file of an architecture's twin in a backend."""
    module, _ = config.twin(backend)
    package, _, family = module.rpartition(f".{backend}.")
    return Path(sys.modules[package].__path__[0], backend, f"{family}.py")


def cut(
    config: Config, backend: str, *, whole: bool = False, layers: bool = False
) -> Cut:
    """Return a twin's model class and what it uses, in the file's order.

    Args:
        config: whose twin.
        backend: in which backend.
        whole: the whole file instead.
        layers: also what it takes from the backend's `_layers.py`.
    """
    path = twin_file(config, backend)
    text = path.read_text(encoding="utf-8")
    file = _File(text)
    chosen = file.closure([config.twin(backend)[1]])
    spans = [file.span(name) for name in chosen]
    line = spans[0][0] + 1
    if whole:
        spans, line = file.everything(), 1
    blocks = [(name, file.lines[a:b]) for name, a, b in _named(file, spans)]
    if layers:
        shared = _File(path.with_name("_layers.py").read_text(encoding="utf-8"))
        names = shared.closure(file.imported("_layers", None if whole else chosen))
        spans = [shared.span(name) for name in names]
        blocks += [(name, shared.lines[a:b]) for name, a, b in _named(shared, spans)]
    return _join(path, line, blocks)


class _File:
    """A parsed module: its top-level definitions by name."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self.tree = ast.parse(text)
        self.nodes: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                self.nodes[node.name] = node
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self.nodes[target.id] = node

    def closure(self, names: Iterable[str]) -> list[str]:
        """Return these definitions and all that they use, in the file's order."""
        todo, used = list(names), set()
        while todo:
            name = todo.pop()
            if name in self.nodes and name not in used:
                used.add(name)
                todo += _names_in(self.nodes[name])
        return [name for name in self.nodes if name in used]

    def imported(self, module: str, users: Sequence[str] | None) -> list[str]:
        """Return the names imported from a sibling module, only those `users` use."""
        names = [
            alias.name
            for node in self.tree.body
            if isinstance(node, ast.ImportFrom) and node.module == module
            for alias in node.names
        ]
        if users is None:
            return names
        used = {n for user in users for n in _names_in(self.nodes[user])}
        return [name for name in names if name in used]

    def span(self, name: str) -> tuple[int, int]:
        """Return the first and last + 1 line index, with decorators and comments."""
        node = self.nodes[name]
        above = getattr(node, "decorator_list", [])
        start = min([node.lineno, *(d.lineno for d in above)]) - 1
        while start and self.lines[start - 1].startswith("#"):
            start -= 1
        return start, node.end_lineno or node.lineno

    def everything(self) -> list[tuple[int, int]]:
        """Return spans that cover the file: its head, then each definition."""
        starts = sorted({0, *(self.span(name)[0] for name in self.nodes)})
        stops = [*starts[1:], len(self.lines)]
        return list(zip(starts, stops))


def _names_in(node: ast.AST) -> list[str]:
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]


def _named(
    file: _File, spans: Iterable[tuple[int, int]]
) -> Iterable[tuple[str, int, int]]:
    """Yield (name, first, last + 1) of spans: the definition that each starts with."""
    starts = {file.span(name)[0]: name for name in file.nodes}
    for a, b in spans:
        yield starts.get(a, ""), a, b


def _join(path: Path, line: int, blocks: Sequence[tuple[str, list[str]]]) -> Cut:
    """Return blocks of code one after the other, with two empty lines between."""
    lines: list[str] = []
    parts: list[Part] = []
    for name, block in blocks:
        while block and not block[-1].strip():
            block = block[:-1]
        for part in _parts(name, block):
            parts.append(
                part._replace(
                    start=part.start + len(lines), stop=part.stop + len(lines)
                )
            )
        lines += [*block, "", ""]
        if parts:
            parts[-1] = parts[-1]._replace(stop=len(lines))
    return Cut(path, line, "\n".join(lines[:-2]) + "\n", parts)


def _parts(name: str, lines: Sequence[str]) -> list[Part]:
    """Split a definition at its methods and at its `# § step` markers."""
    starts: list[tuple[int, str, str]] = [(0, "", "")]
    for i, line in enumerate(lines):
        method, step = _METHOD.match(line), _STEP.match(line)
        if method:
            top = i
            while lines[top - 1].startswith("    @"):
                top -= 1
            called = "forward" if method[1] in _FORWARD else method[1]
            starts.append((top, called, ""))
        elif step:
            starts.append((i, starts[-1][1], step[1].strip()))
    parts: list[Part] = []
    for (start, method_name, step_name), after in zip(starts, [*starts[1:], None]):
        stop = after[0] if after else len(lines)
        key = (name, method_name, step_name)
        count = sum(p.key[:3] == key for p in parts)
        parts.append(Part((*key, count), start, stop))
    return parts


def align(columns: Sequence[Sequence[Part]]) -> list[list[Part | None]]:
    """Return rows: for each key, the part of each column, or None where it has none.

    The order is the first column's. A key that only another column has stands after
    the key that precedes it in that column.
    """
    order: list[Key] = []
    for parts in columns:
        place = 0
        for part in parts:
            if part.key not in order:
                order.insert(place, part.key)
            place = order.index(part.key) + 1
    by_key = [{part.key: part for part in parts} for parts in columns]
    return [[parts.get(key) for parts in by_key] for key in order]
