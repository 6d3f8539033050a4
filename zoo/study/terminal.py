"""A study for the terminal: as tables, and in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from . import modes
from .results import STEPS, ResultRow, Study


def problems(study: Study) -> list[str]:
    """Return a line for each cell that failed, or is not the same network."""
    lines = []
    for row in study.rows:
        status = row.get("status", "ok")
        if status == "ok" or str(row.get("error")).startswith("not tried"):
            continue
        place = f"{row['preset']} in {_title(row)}"
        if row["row"] == "timing":
            place += f", {row['what']} with batch {row['batch_size']}"
        elif row["row"] == "training":
            place += ", training"
        lines.append(f"{place}: {row['error']}")
    return lines


def tables(study: Study) -> Iterator[Any]:
    """Yield a rich table of each preset's times, and one of the training runs."""
    presets = dict.fromkeys(row["preset"] for row in study.rows)
    for preset in presets:
        rows = [row for row in study.rows if row["preset"] == preset]
        if any(row["row"] == "timing" for row in rows):
            yield _times(preset, rows)
    trained = [r for r in study.rows if r["row"] == "training" and r["status"] == "ok"]
    if trained:
        yield _trained(trained)


def _title(row: ResultRow) -> str:
    return modes.title(row["backend"], row["mode"])


def _table(heading: str, names: Sequence[str]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(
        title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
        show_edge=False,
    )  # fmt: skip
    table.add_column(names[0], no_wrap=True)
    for name in names[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _times(preset: str, rows: list[ResultRow]) -> Any:
    cells = [row for row in rows if row["row"] == "cell"]
    sizes = sorted({r["batch_size"] for r in rows if r["row"] == "timing"})
    names = [f"{step[:5]} {size}" for step in STEPS for size in sizes]
    ends = ("peak MiB", "of peak", "first call")
    table = _table(f"{preset}: ms for a batch", ["", *names, *ends])
    for cell in cells:
        own = [
            r
            for r in rows
            if r["row"] == "timing"
            and all(r[k] == cell[k] for k in ("backend", "mode", "seed", "machine"))
        ]
        if not own:
            table.add_row(_title(cell), *["–"] * (len(names) + len(ends)))
            continue
        by_step = {(r["what"], r["batch_size"]): r for r in own}
        values = [_time(by_step.get((step, size))) for step in STEPS for size in sizes]
        good = [r for r in own if r["status"] == "ok"]
        peak = max((r["peak_bytes"] for r in good), default=None)
        shares = [r["share"] for r in good if r["share"]]
        first = sum(r["first_s"] for r in good)
        table.add_row(
            _title(cell),
            *values,
            f"{peak / 2**20:,.0f}" if peak else "–",
            f"{max(shares):.0%}" if shares else "–",
            f"{first:.1f} s",
        )
    return table


def _time(row: ResultRow | None) -> str:
    if row is None or row["status"] != "ok":
        return "–"
    text = f"{1000 * row['median_s']:.3g}"
    if row.get("verdict") in ("faster", "slower"):
        return f"{text} ({row['ratio']:.2f}x)"
    return f"{text} (~)" if row.get("verdict") == "within noise" else text


def _trained(rows: list[ResultRow]) -> Any:
    names = ["trained", "", "steps", "last loss", "score", "s"]
    table = _table("what was learned", names)
    for row in rows:
        measure = row["measure"]
        losses = row["losses"]
        table.add_row(
            f"{row['preset']}, seed {row['seed']}",
            _title(row),
            f"{len(losses)}",
            f"{losses[-1]:.4g}",
            f"{measure} {row[measure]:.4g}",
            f"{row['seconds']:.1f}",
        )
    return table


def sentences(study: Study) -> list[str]:
    """Return the study in words; within noise, no column is called faster."""
    lines = []
    heads = [row for row in study.rows if row["row"] == "cell"]
    judged = [r for r in heads if (r.get("parity") or {}).get("ok") is not None]
    proven = [r for r in judged if r["parity"]["ok"]]
    if judged:
        errors = [
            rung["error"]
            for r in proven
            for rung in r["parity"]["rungs"]
            if rung["dtype"] == "float64"
            and r["parity"]["reference"] != f"{r['backend']}:{r['mode']}"
        ]
        lines.append(
            f"{len(proven)} of {len(heads)} cells are proven the same network as their"
            f" twins{f', to {max(errors):.0e} in float64' if errors else ''}."
        )
    for step in STEPS:
        rows = [
            r
            for r in study.rows
            if r["row"] == "timing" and r["what"] == step and r.get("verdict")
        ]
        rows = [r for r in rows if r["verdict"] != "baseline"]
        noisy = sum(r["verdict"] == "within noise" for r in rows)
        if noisy:
            lines.append(
                f"{step}: in {noisy} of {len(rows)} comparisons the noise hides the"
                " difference, so none is called faster (~)."
            )
    return lines


def operators(trace: ResultRow) -> Any:
    """Return the rich table of a profile."""
    heading = f"{trace['preset']}, {_title(trace)}, batch {trace['batch_size']}"
    table = _table(heading, ["operator", "ms", "calls"])
    if "error" in trace:
        table.add_row(f"failed: {trace['error']}", "", "")
    for row in trace.get("operators", ()):
        name = row["operator"][:60]
        table.add_row(name, f"{1000 * row['seconds']:.2f}", f"{row['calls']}")
    return table
