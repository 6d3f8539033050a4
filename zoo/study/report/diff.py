"""What changed between two studies: times, cells, and what they were measured with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape as e
from typing import Any

import numpy as np

from ..intervals import RESAMPLES, Estimate, verdict
from ..results import STEPS
from .charts import Mark
from .figures import forest
from .rows import Column, Time, View, column_of, mapping
from .tables import key, table
from .words import Styles, items, mebibytes, ratio, seconds, times

Section = tuple[str, str, str, str]  # name, title, lead, HTML
Key = tuple[str, Column, str, int]
_LEAD = (
    "New time over old. The two were measured apart, so rounds cannot be paired: the"
    " 95 % interval draws from each on its own, and cannot know of a machine that"
    " was busier on one of the days."
)


def unpaired_ratio(ours: Sequence[float], others: Sequence[float]) -> Estimate:
    """Return the ratio of medians of two independent samples, with its interval.

    A percentile bootstrap that draws from each sample apart, from a fixed seed.
    """
    random = np.random.default_rng(0)

    def drawn(values: Sequence[float]) -> np.ndarray:
        array = np.asarray(values, np.float64)
        picks = random.integers(len(array), size=(RESAMPLES, len(array)))
        return np.median(array[picks], axis=1)

    low, high = np.percentile(drawn(ours) / drawn(others), [2.5, 97.5])
    return Estimate(float(np.median(ours) / np.median(others)), float(low), float(high))


def changes(
    old: Sequence[View], new: Sequence[View], styles: Styles
) -> Iterator[Section]:
    """Give the sections of the report on what changed."""
    pairs = _pairs(old, new)
    found = [
        (a, b, unpaired_ratio(b.samples, a.samples))
        for a, b in pairs
        if a.samples and b.samples
    ]
    yield "summary", "In short", "", _summary(found, styles, old, new)
    with_, lead = "What it was measured with", "Only what is not the same in both."
    yield "environment", with_, lead, _environment(old, new, styles)
    yield "ratios", "What became faster or slower", _LEAD, _charts(found, styles)
    yield (
        "cells",
        "Cells that came, went, or changed their state",
        "",
        _cells(old, new, styles),
    )
    yield "numbers", "Every time, before and after", _LEAD, _table(found, styles)


def _pairs(old: Sequence[View], new: Sequence[View]) -> list[tuple[Time, Time]]:
    after = {(i, _key(t)): t for i, view in enumerate(new) for t in view.times}
    return [
        (t, after[i, _key(t)])
        for i, view in enumerate(old)
        for t in view.times
        if (i, _key(t)) in after
    ]


def _key(t: Time) -> Key:
    return t.preset, t.column, t.what, t.batch


Found = Sequence[tuple[Time, Time, Estimate]]


def _summary(
    found: Found, styles: Styles, old: Sequence[View], new: Sequence[View]
) -> str:
    if not found:
        return "<p>No time was measured in both, so there is nothing to compare.</p>"
    by = {"faster": [], "slower": [], "within noise": []}
    for row in found:
        by[verdict(row[2])].append(row)
    told = [
        f"<p>{len(found)} times were measured in both: {len(by['faster'])} became"
        f" faster, {len(by['slower'])} slower, and of {len(by['within noise'])} the"
        " noise hides whether they changed.</p>"
    ]
    lines = []
    for word, sign in (("slower", -1), ("faster", 1)):
        for a, _, r in sorted(by[word], key=lambda row: sign * row[2].value)[:5]:
            name = f"{e(a.preset)} in {e(styles[a.column].title)}"
            lines.append(
                f"<b>{name}</b>, {e(a.what)}, batch {a.batch}, became {word}:"
                f" {ratio(r)}"
            )
    told.append(items(lines) if lines else "")
    if _machines(old) != _machines(new):
        told.append(
            '<p class="noise"><b>Different machines:</b> the times say more about them'
            " than about the versions.</p>"
        )
    return "".join(told)


def _machines(found: Sequence[View]) -> set[str]:
    return {str(c.get("machine", "")) for view in found for c in view.cells}


def _charts(found: Found, styles: Styles) -> str:
    if not found:
        return ""
    low = min(0.8, *(r.low for *_, r in found)) / 1.04
    high = max(1.25, *(r.high for *_, r in found)) * 1.04
    charts = []
    for preset in dict.fromkeys(a.preset for a, *_ in found):
        for what in STEPS:
            rows = [
                row for row in found if (row[0].preset, row[0].what) == (preset, what)
            ]
            batches = sorted({a.batch for a, *_ in rows})
            groups = [
                (
                    f"batch {n}",
                    [_mark(row, styles) for row in rows if row[0].batch == n],
                )
                for n in batches
            ]
            caption = f"{preset}, {what}: new time over old, below 1× is faster"
            if picture := forest(caption, groups, (low, high)):
                words = f"<figcaption>{e(caption)}</figcaption>"
                charts.append(f"<figure>{words}{picture}</figure>")
    return f'<div class="grid pairs">{"".join(charts)}</div>'


def _mark(row: tuple[Time, Time, Estimate], styles: Styles) -> Mark:
    a, _, r = row
    style = styles[a.column]
    tip = f"{style.title}, batch {a.batch}: {ratio(r)}\n{verdict(r)}"
    return Mark(style, *r, times(r.value), tip, verdict(r) == "within noise")


def _table(found: Found, styles: Styles) -> str:
    rows = [
        [
            e(a.preset),
            key(styles, a.column),
            e(a.what),
            str(a.batch),
            seconds(a.seconds.value if a.seconds else None),
            seconds(b.seconds.value if b.seconds else None),
            ratio(r),
            verdict(r),
            f"{mebibytes(a.peak_bytes)} → {mebibytes(b.peak_bytes)}",
        ]
        for a, b, r in found
    ]
    head = (
        "network", "framework", "step", "batch", "before", "after", "after / before",
        "verdict", "peak memory",
    )  # fmt: skip
    return table(head, rows, "numbers") if rows else ""


def _cells(old: Sequence[View], new: Sequence[View], styles: Styles) -> str:
    """Tell which cells are in one study alone, and which fail in one alone."""
    a, b = _states(old), _states(new)
    told = []
    for cell in dict.fromkeys([*a, *b]):
        preset, column, seed = cell
        name = f"<b>{e(preset)} in {e(styles[column].title)}, seed {e(str(seed))}</b>"
        if cell not in b:
            told.append(f"{name} is not in the new study.")
        elif cell not in a:
            told.append(f"{name} is new: {e(b[cell])}.")
        elif a[cell] != b[cell]:
            told.append(f"{name}: before {e(a[cell])}; now {e(b[cell])}.")
    return items([t.replace("..", ".") for t in told]) if told else ""


def _states(found: Sequence[View]) -> dict[tuple[str, Column, Any], str]:
    states = {}
    for view in found:
        for cell in view.cells:
            error = f" ({cell['error']})" if cell.get("error") else ""
            state = f"{cell.get('status')}{error}"
            states[str(cell["preset"]), column_of(cell), cell["seed"]] = state
    return states


def _environment(old: Sequence[View], new: Sequence[View], styles: Styles) -> str:
    """Return what the two were measured with, where it is not the same."""
    a, b = _facts(old, styles), _facts(new, styles)
    rows = [
        [f"<b>{e(name)}</b>", e(a.get(name, "–")), e(b.get(name, "–"))]
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name)
    ]
    if not rows:
        return "<p>Machine, versions, settings and zoo's own source are the same.</p>"
    return table(("", "before", "after"), rows, "facts")


def _and(words: Iterable[str]) -> str:
    return " and ".join(sorted(words))


def _facts(found: Sequence[View], styles: Styles) -> dict[str, str]:
    facts: dict[str, set[str]] = {}
    settings: dict[
        str, dict[str, set[str]]
    ] = {}  # name, value, the columns that have it

    def note(name: str, value: Any) -> None:
        facts.setdefault(name, set()).add(str(value))

    for view in found:
        for name, value in mapping(view.info.get("zoo")).items():
            note(f"zoo's {name}", value)
        for name in ("rounds", "batch_sizes", "seeds"):
            if name in view.plan:
                note(name.replace("_", " "), view.plan[name])
        for cell in view.cells:
            title = styles[column_of(cell)].title
            for name, value in mapping(cell.get("versions")).items():
                note(name, value)
            for name, value in mapping(cell.get("host")).items():
                note(name.replace("_gb", ", GiB"), value)
            for name, value in mapping(cell.get("settings")).items():
                have = settings.setdefault(name, {}).setdefault(str(value), set())
                have.add(title)
    for name, values in settings.items():
        for value, titles in values.items():
            note(name, value if len(values) == 1 else f"{value} ({_and(titles)})")
    return {name: ", ".join(sorted(values)) for name, values in facts.items()}
