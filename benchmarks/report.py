"""Results of a benchmark: rows, a table to read, and a JSON document."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from rich.table import Table

from zoo.study.machine import host
from zoo.version import versions

from .paired import Paired


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement: milliseconds of the zoo and of its peer.

    `measure` is the number that the limit is for: the "low" end of the ratio's interval
    (so that only a significant slowness fails), its median "ratio", or the zoo's "ms".
    """

    name: str
    backend: str
    what: str
    peer: str
    limit: float
    measure: Literal["low", "ratio", "ms"] = "low"
    zoo_ms: float = float("nan")
    peer_ms: float = float("nan")
    ratio: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    ratios: list[float] = field(default_factory=list)
    parameters: list[int] = field(default_factory=list)
    verdict: Literal["ok", "over", "failed"] = "failed"
    error: str = ""

    @classmethod
    def of(cls, times: Paired, **row: Any) -> Self:
        """Return the row of paired times, with its verdict."""
        zoo, peer = times.medians
        low, high = times.interval
        values = {
            "zoo_ms": 1000 * zoo,
            "peer_ms": 1000 * peer,
            "ratio": times.ratio,
            "low": low,
            "high": high,
        }
        measured = {"low": low, "ratio": times.ratio, "ms": 1000 * zoo}
        over = measured[row.get("measure", "low")] > row["limit"]
        ratios = [round(float(r), 4) for r in times.ratios]
        verdict = "over" if over else "ok"
        return cls(**row, **values, ratios=ratios, verdict=verdict)

    @property
    def target(self) -> str:
        """The limit, as printed."""
        if self.measure == "ms":
            return f"< {self.limit:g} ms"
        return f"≤ {self.limit:g}x"


def table(rows: Iterable[Row]) -> Table:
    """Return the rows as a table of at most 80 columns."""
    out = Table(caption=CAPTION, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    out.add_column("what", no_wrap=True)
    out.add_column("backend")
    for heading in ("zoo ms", "peer ms", "ratio", "95 %", "target"):
        out.add_column(heading, justify="right", no_wrap=True)
    out.add_column("verdict")
    for r in rows:
        colour = "green" if r.verdict == "ok" else "red"
        numbers = [
            f"{r.zoo_ms:.1f}",
            f"{r.peer_ms:.1f}",
            f"{r.ratio:.3f}",
            f"{r.low:.3f}–{r.high:.3f}",
        ]
        if r.verdict == "failed":
            numbers = [""] * 4
        verdict = f"[{colour}]{r.verdict}"
        out.add_row(f"{r.name} {r.what}", r.backend, *numbers, r.target, verdict)
    return out


CAPTION = (
    "Medians of paired runs, zoo and peer in turn. The ratio is zoo over peer, with"
    " its bootstrap interval. Targets of 1.03x are for the interval's lower end,"
    " others for the median. Peers are plain native models (for resnet50_v1"
    " keras.applications'), for startup an idle Python and init='native'."
)


def machine() -> dict[str, Any]:
    """Return the machine and the versions that the numbers are of."""
    facts = {k: v for k, v in host().items() if k != "id"}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return facts | {"load": load, "versions": versions()}


def document(rows: Iterable[Row], **mode: bool) -> dict[str, Any]:
    """Return the JSON document of a run; numbers not measured are null."""
    clean = [{k: None if v != v else v for k, v in asdict(row).items()} for row in rows]
    return {"format": 1, **mode, "machine": machine(), "rows": clean}
