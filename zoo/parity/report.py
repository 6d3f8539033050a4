"""The result of a check, as an object, a table, lines of text, or JSON."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rung:
    """One rung for one model, in one dtype ("" for rungs that compare no numbers)."""

    name: str
    dtype: str
    backend: str
    ok: bool
    error: float  # of the worst tensor, relative to its scale; exact rungs: 0 or 1
    tolerance: float
    where: str = ""  # the worst tensor, or the first name that differs
    note: str = ""


@dataclass(frozen=True)
class Divergence:
    """The first rung that failed: its place in the model, error and likely cause."""

    rung: str
    dtype: str
    backend: str
    where: str
    cause: str | None
    error: float

    def __str__(self) -> str:
        dtype = f" in {self.dtype}" if self.dtype else ""
        cause = f"; likely cause: {self.cause}" if self.cause else ""
        return (
            f"first divergence: {self.rung}{dtype}, {self.backend}, at"
            f" {self.where or 'the model itself'}, error {self.error:.3g}{cause}"
        )


@dataclass
class Report:
    """Result of `check`. `ok` means that every requested rung was walked and passed."""

    subject: str
    backends: list[str]
    parameters: int = 0
    rungs: list[Rung] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    first_divergence: Divergence | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True when nothing is missing and every rung passed."""
        return bool(self.rungs) and not self.missing and all(r.ok for r in self.rungs)

    def worst(self, rung: str, dtype: str = "", backend: str = "") -> float:
        """Return the largest error on a rung, of one backend or of all."""
        errors = [
            r.error
            for r in self.rungs
            if r.name == rung
            and r.dtype == dtype
            and (not backend or r.backend == backend)
        ]
        return max(errors, default=math.nan)

    def to_json(self) -> str:
        """Return the report as JSON; infinite errors are the string "inf"."""
        return json.dumps(_plain({"ok": self.ok, **asdict(self)}), indent=2)

    def table(self) -> Any:
        """Return a rich table: a row per rung and dtype, a column per backend."""
        from rich.table import Table
        from rich.text import Text

        title = (
            f"{self.subject} · {self.parameters:,} parameters · {self.seconds:.1f} s"
        )
        table = Table(title=title, title_justify="left")
        table.add_column("rung")
        table.add_column("dtype")
        for backend in self.backends:
            table.add_column(backend, justify="right")
        table.add_column("tolerance", justify="right")
        rows: dict[tuple[str, str], dict[str, Rung]] = {}
        for rung in self.rungs:
            rows.setdefault((rung.name, rung.dtype), {})[rung.backend] = rung
        for (name, dtype), cells in rows.items():
            exact = next(iter(cells.values())).tolerance == 0
            texts = [_cell(cells.get(b), exact) for b in self.backends]
            bound = max(c.tolerance for c in cells.values())
            tolerance = "exact" if exact else f"{bound:.1e}"
            styled = [Text(t, "red" if t.startswith("FAIL") else "") for t in texts]
            table.add_row(name, dtype, *styled, tolerance)
        return table

    def summary(self) -> list[str]:
        """Return the lines below the table; the last one is the verdict."""
        lines = [f"missing: {m}" for m in self.missing]
        notes = {f"{r.name} {r.dtype}: {r.note}" for r in self.rungs if r.note}
        lines += sorted(notes)
        if self.first_divergence:
            lines.append(str(self.first_divergence))
        same = "the same model" if self.ok else "NOT proven the same"
        lines.append(f"{' = '.join(self.backends)}: {same}")
        return lines

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=100, color_system=None)
        console.print(self.table())
        text = console.file.getvalue()  # type: ignore[attr-defined]
        return text + "\n".join(self.summary())


def _cell(rung: Rung | None, exact: bool) -> str:
    """Return the text of a table's cell."""
    if rung is None:
        return "–"
    if exact:
        return "ok" if rung.ok else f"FAIL {rung.where}"
    return f"{'' if rung.ok else 'FAIL '}{rung.error:.1e}"


def _plain(value: Any) -> Any:
    """Return a value with infinities and NaN as strings, which JSON cannot hold."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
