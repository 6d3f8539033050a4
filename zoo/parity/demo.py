"""The demonstration: one network of each family, in every framework, on real data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from ..configs._base import Config
from ..data import samples
from ..models import resolve
from ..registry import BACKENDS, TITLES
from .check import check
from .report import Report
from .tolerance import FLOAT64


class Exhibit(NamedTuple):
    """A preset to show, and the batch and changes that make it quick."""

    preset: str
    batch: int
    changes: Mapping[str, Any] = {}

    def config(self, small: bool = False) -> Config:
        """Return the config; `small` is the preset's own small version."""
        if small:
            return resolve(self.preset).small()
        return resolve(self.preset, **self.changes)


EXHIBITS = (
    Exhibit("mnist_mlp", 8),
    Exhibit("mnist_cnn", 4),
    Exhibit("row_lstm", 8),
    Exhibit("transformer_encoder", 4, {"vocabulary": 16}),
    Exhibit("resnet18", 2, {"image_size": 64}),
    Exhibit("unet", 2, {"image_size": 32}),
)

# The rows of a network in the table: (rung, dtype).
SHOWN = (
    ("forward", "float64"),
    ("gradients", "float64"),
    ("forward", "float32"),
    ("gradients", "float32"),
)
LEGEND = (
    "Each number is the largest difference of any value, relative to its tensor's"
    f" scale. float64: from the first framework; {FLOAT64:.0e} is allowed, 1e-15 is"
    " rounding. float32: from the same network in float64; 1e-7 to 1e-4 is rounding."
)
NEXT = "Next: zoo show unet, zoo compare cnn --out study/cnn, zoo list."


class Exhibited(NamedTuple):
    """One network: its data, and the report of its check."""

    preset: str
    data: str
    batch: int
    report: Report


@dataclass
class Demo:
    """Result of `run`."""

    rows: list[Exhibited]
    seconds: float

    @property
    def ok(self) -> bool:
        """True when every network is proven the same in every framework."""
        return bool(self.rows) and all(row.report.ok for row in self.rows)

    def to_json(self) -> str:
        """Return the rows with their complete reports as JSON."""
        rows = [
            {**row._asdict(), "report": json.loads(row.report.to_json())}
            for row in self.rows
        ]
        result = {"ok": self.ok, "verdict": self.verdict(), "seconds": self.seconds}
        return json.dumps({**result, "rows": rows}, indent=2)

    def table(self) -> Any:
        """Return a rich table: a block per network, a column per framework."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        backends = self._backends()
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        table.add_column("network", max_width=32)
        table.add_column("compared", no_wrap=True)
        for backend in backends:
            table.add_column(TITLES[backend], justify="right", no_wrap=True)
        for row in self.rows:
            report = row.report
            about = Text(row.preset, "bold")
            about.append(f"\n{row.data}\n{report.parameters:,} parameters", "not bold")
            about.append(f"\n{report.seconds:.1f} s", "not bold dim")
            about.append("\n")  # an empty line between networks
            compared = Text("\n".join(f"{d} {r.rstrip('s')}" for r, d in SHOWN))
            columns = [Text("\n").join(_cells(report, b)) for b in backends]
            table.add_row(about, compared, *columns)
        return table

    def notes(self) -> Iterator[str]:
        """Yield the lines below the table: missing backends, differences."""
        yield from dict.fromkeys(m for row in self.rows for m in row.report.missing)
        for row in self.rows:
            for line in row.report.summary()[len(row.report.missing) : -1]:
                yield f"{row.preset}: {line}"

    def verdict(self) -> str:
        """Return the result in a sentence or two."""
        count = len(self.rows)
        names = _listed([TITLES[b] for b in self._backends()])
        if self.ok:
            rungs = [r for r, dtype in SHOWN if dtype == "float64"]
            reports = [row.report for row in self.rows]
            worst = max(x.worst(r, "float64") for x in reports for r in rungs)
            return (
                f"All {count} networks are the same in {names}: from equal weights and"
                f" equal data, outputs and gradients agree to {worst:.0e} of scale in"
                " float64, and in float32 as far as rounding lets them."
            )
        failed = [row.preset for row in self.rows if row.report.first_divergence]
        if failed:
            return f"Not the same in {names}: {_listed(failed)}. See where above."
        return f"The same in {names}; not every framework could be compared."

    def _backends(self) -> list[str]:
        return self.rows[0].report.backends if self.rows else []


def run(
    backends: Sequence[str] = BACKENDS,
    *,
    seed: int = 0,
    small: bool = False,
    exhibits: Sequence[Exhibit] = EXHIBITS,
    progress: Callable[[int, str], object] | None = None,
) -> Demo:
    """Walk the ladder over every exhibit, on real data.

    Args:
        backends: to build in.
        seed: of the weights, and of the choice of digits and crops.
        small: takes a narrow and shallow version of each preset.
        exhibits: the networks to show.
        progress: called with (networks done, a short text) as each step begins.
    """
    begin = time.perf_counter()
    rows: list[Exhibited] = []
    for exhibit in exhibits:

        def report_step(text: str, preset: str = exhibit.preset) -> None:
            if progress:
                progress(len(rows), f"{preset}: {text}")

        config = exhibit.config(small)
        report = check(
            config,
            backends=backends,
            seed=seed,
            inputs=partial(samples.sample_inputs, config, exhibit.batch),
            progress=report_step,
        )
        report.subject = exhibit.preset
        described = samples.describe(config)
        rows.append(Exhibited(exhibit.preset, described, exhibit.batch, report))
    return Demo(rows, time.perf_counter() - begin)


def _cells(report: Report, backend: str) -> Iterator[Any]:
    """Yield the cell of one backend for each row of SHOWN."""
    from rich.text import Text

    for name, dtype in SHOWN:
        rung = next(
            (
                r
                for r in report.rungs
                if (r.name, r.dtype, r.backend) == (name, dtype, backend)
            ),
            None,
        )
        if rung is None:
            yield Text("–")
        elif dtype == "float64" and backend == report.backends[0] and rung.ok:
            yield Text("reference", "dim")
        else:
            text = f"{'' if rung.ok else 'FAIL '}{rung.error:.1e}"
            yield Text(text, "green" if rung.ok else "bold red")


def _listed(names: Sequence[str]) -> str:
    """Return "a, b and c"."""
    head = [", ".join(names[:-1])] if names[1:] else []
    return " and ".join([*head, *names[-1:]])
