"""What changed between two studies: times, cells, and what they were measured with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..intervals import RESAMPLES, Estimate, verdict
from ..results import STEPS
from .figures import Figures, forest
from .marks import Mark
from .parts import Cell, Part, Section, Sentence, Table, key, tables
from .rows import Column, Styles, Time, View, column_of, mapping
from .words import mebibytes, ratio, seconds, times

Key = tuple[str, Column, str, int]
_LEAD = (
    "New time divided by old time. The two studies were measured separately, so their"
    " rounds cannot be paired: the 95 % interval resamples each study on its own. It"
    " does not account for a machine that was busier on one of the days."
)


class Pair(NamedTuple):
    """A time that was measured in both studies."""

    old: Time
    new: Time
    ratio: Estimate  # new over old


class Changes(NamedTuple):
    """What changed, in sentences."""

    pairs: int
    faster: int
    slower: int
    undecided: int
    extremes: Sequence[Sentence]
    other_machines: bool


def unpaired_ratio(ours: Sequence[float], others: Sequence[float]) -> Estimate:
    """Return the ratio of medians of two independent samples, with its interval.

    A percentile bootstrap that draws from each sample apart, from a fixed seed.
    """
    random = np.random.default_rng(0)

    def medians(values: Sequence[float]) -> np.ndarray:
        array = np.asarray(values, np.float64)
        draws = random.integers(len(array), size=(RESAMPLES, len(array)))
        return np.median(array[draws], axis=1)  # (RESAMPLES,)

    low, high = np.percentile(medians(ours) / medians(others), [2.5, 97.5])
    return Estimate(float(np.median(ours) / np.median(others)), float(low), float(high))


def changes(
    old: Sequence[View], new: Sequence[View], styles: Styles
) -> Iterator[Section]:
    """Yield the sections of the report on what changed."""
    pairs = list(_pairs(old, new))
    summary = [Part("", _summary(pairs, styles, old, new))]
    yield Section("summary", "In short", "", "changes.html", summary)
    yield Section(
        "environment",
        "What it was measured with",
        "Only what differs between the two.",
        "environments.html",
        [Part("", _environment(old, new, styles))],
    )
    if figures := _charts(pairs, styles):
        title, parts = "What became faster or slower", [Part("", figures)]
        yield Section("ratios", title, _LEAD, "wide_figures.html", parts, legend=True)
    if sentences := _cells(old, new, styles):
        title = "Cells that are new, gone, or in another state"
        yield Section("cells", title, "", "sentences.html", [Part("", sentences)])
    if numbers := _table(pairs, styles):
        title = "Every time, before and after"
        yield Section("numbers", title, _LEAD, "tables.html", [Part("", numbers)])


def _pairs(old: Sequence[View], new: Sequence[View]) -> Iterator[Pair]:
    after = {(i, _key(t)): t for i, view in enumerate(new) for t in view.times}
    for i, view in enumerate(old):
        for a in view.times:
            b = after.get((i, _key(a)))
            if b and a.samples and b.samples:
                yield Pair(a, b, unpaired_ratio(b.samples, a.samples))


def _key(t: Time) -> Key:
    return t.preset, t.column, t.step, t.batch


def _summary(
    pairs: Sequence[Pair], styles: Styles, old: Sequence[View], new: Sequence[View]
) -> Changes:
    by: dict[str, list[Pair]] = {"faster": [], "slower": [], "within noise": []}
    for pair in pairs:
        by[verdict(pair.ratio)].append(pair)
    extremes = []
    for word, sign in (("slower", -1), ("faster", 1)):
        order = sorted(by[word], key=lambda pair: sign * pair.ratio.value)
        for t, _, estimate in order[:5]:
            subject = f"{t.preset} in {styles[t.column].title}"
            rest = f", {t.step}, batch {t.batch}, became {word}: {ratio(estimate)}"
            extremes.append(Sentence(subject, rest))
    return Changes(
        len(pairs),
        len(by["faster"]),
        len(by["slower"]),
        len(by["within noise"]),
        extremes,
        _machines(old) != _machines(new),
    )


def _machines(views: Sequence[View]) -> set[str]:
    return {str(c.get("machine", "")) for view in views for c in view.cells}


def _charts(pairs: Sequence[Pair], styles: Styles) -> Figures:
    if not pairs:
        return []
    low = min(0.8, *(p.ratio.low for p in pairs)) / 1.04
    high = max(1.25, *(p.ratio.high for p in pairs)) * 1.04
    figures = []
    for preset, step in product(dict.fromkeys(p.old.preset for p in pairs), STEPS):
        rows = [p for p in pairs if (p.old.preset, p.old.step) == (preset, step)]
        groups = [
            (f"batch {n}", [_mark(p, styles) for p in rows if p.old.batch == n])
            for n in sorted({p.old.batch for p in rows})
        ]
        if groups:
            caption = f"{preset}, {step}: new time over old, below 1× is faster"
            figures.append(forest(caption, groups, (low, high)))
    return figures


def _mark(pair: Pair, styles: Styles) -> Mark:
    style, word = styles[pair.old.column], verdict(pair.ratio)
    tip = f"{style.title}, batch {pair.old.batch}: {ratio(pair.ratio)}\n{word}"
    text = times(pair.ratio.value)
    return Mark(style, *pair.ratio, text, tip, word == "within noise")


def _table(pairs: Sequence[Pair], styles: Styles) -> list[Table]:
    rows = [
        [
            a.preset,
            key(styles[a.column]),
            a.step,
            str(a.batch),
            seconds(a.seconds.value if a.seconds else None),
            seconds(b.seconds.value if b.seconds else None),
            ratio(estimate),
            verdict(estimate),
            f"{mebibytes(a.peak_bytes)} → {mebibytes(b.peak_bytes)}",
        ]
        for a, b, estimate in pairs
    ]
    head = (
        "network", "framework", "step", "batch", "before", "after", "after / before",
        "verdict", "peak memory",
    )  # fmt: skip
    return tables("numbers", head, rows)


def _cells(old: Sequence[View], new: Sequence[View], styles: Styles) -> list[Sentence]:
    """Return which cells are in one study only, and which changed their state."""
    before, after = _states(old), _states(new)
    sentences = []
    for cell in dict.fromkeys([*before, *after]):
        preset, column, seed = cell
        if cell not in after:
            rest = " is not in the new study."
        elif cell not in before:
            rest = f" is new: {after[cell]}."
        elif before[cell] != after[cell]:
            rest = f": before {before[cell]}; now {after[cell]}."
        else:
            continue
        subject = f"{preset} in {styles[column].title}, seed {seed}"
        sentences.append(Sentence(subject, rest.replace("..", ".")))
    return sentences


def _states(views: Sequence[View]) -> dict[tuple[str, Column, Any], str]:
    states = {}
    for view in views:
        for cell in view.cells:
            error = f" ({cell['error']})" if cell.get("error") else ""
            state = f"{cell.get('status')}{error}"
            states[str(cell["preset"]), column_of(cell), cell["seed"]] = state
    return states


def _environment(
    old: Sequence[View], new: Sequence[View], styles: Styles
) -> list[Table]:
    """Return what the two were measured with, where it is not the same."""
    before, after = _facts(old, styles), _facts(new, styles)
    rows = [
        [Cell(name, strong=True), before.get(name, "–"), after.get(name, "–")]
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]
    return tables("facts", ("", "before", "after"), rows)


def _facts(views: Sequence[View], styles: Styles) -> dict[str, str]:
    facts: dict[str, set[str]] = {}

    def note(name: str, value: Any) -> None:
        facts.setdefault(name, set()).add(str(value))

    for view in views:
        for name, value in mapping(view.info.get("zoo")).items():
            note(f"zoo's {name}", value)
        for name in ("rounds", "batch_sizes", "seeds"):
            if name in view.plan:
                note(name.replace("_", " "), view.plan[name])
        for cell in view.cells:
            for name, value in mapping(cell.get("versions")).items():
                note(name, value)
            for name, value in mapping(cell.get("host")).items():
                note(name.replace("_gb", ", GiB"), value)
    _settings(views, styles, note)
    return {name: ", ".join(sorted(values)) for name, values in facts.items()}


def _settings(
    views: Sequence[View], styles: Styles, note: Callable[[str, Any], None]
) -> None:
    """Note the columns' settings; where columns differ, with their titles."""
    settings: dict[str, dict[str, set[str]]] = {}  # name, value, titles of columns
    for view in views:
        for cell in view.cells:
            title = styles[column_of(cell)].title
            for name, value in mapping(cell.get("settings")).items():
                titles = settings.setdefault(name, {}).setdefault(str(value), set())
                titles.add(title)
    for name, values in settings.items():
        for value, titles in values.items():
            note(name, value if len(values) == 1 else f"{value} ({_and(titles)})")


def _and(titles: Iterable[str]) -> str:
    return " and ".join(sorted(titles))
