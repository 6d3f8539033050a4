"""The summary of a study in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..intervals import Estimate
from ..results import STEPS
from .parts import Sentence
from .rows import Column, Styles, Time, View, column_of, mapping, number_of
from .words import measure_of, number, ratio, score, seconds


class Speed(NamedTuple):
    """Ratios to the baseline, in sentences."""

    baseline: str
    undecided: int  # comparisons where noise hides the difference
    compared: int  # comparisons in all
    counts: Sequence[Sentence]  # one for each column and step
    comparisons: Sequence[Sentence]  # one for each network, column and step


class Summary(NamedTuple):
    """A study in sentences."""

    problems: Sequence[Sentence]
    parity: str
    unproven: Sentence | None
    speed: Speed | None  # None without a baseline
    goals: Sequence[Sentence]


def summary(view: View, styles: Styles) -> Summary:
    """Return the summary of one study."""
    return Summary(
        _problems(view, styles),
        *_parity(view),
        _speed(view, styles),
        _goals(view, styles),
    )


def _problems(view: View, styles: Styles) -> list[Sentence]:
    """List the cells, timings and runs that failed; the same of several seeds once."""
    seeds: dict[Sentence, list[str]] = {}
    for row in [*view.cells, *view.timings, *view.trainings]:
        if row.get("status") in (None, "ok"):
            continue
        rest = "failed"
        if row["status"] == "differs":
            rest = "was not timed because it failed parity"
        if row["row"] != "cell":
            step = row.get("what", "training run")
            rest = f", {step}, batch {row.get('batch_size')}, {rest}"
        else:
            rest = f" {rest}"
        reason = str(row.get("error") or "no reason given").removesuffix(".")
        subject = f"{row['preset']} in {styles[column_of(row)].title}"
        sentence = Sentence(subject, f"{rest}: {reason}")
        seeds.setdefault(sentence, []).append(str(row["seed"]))
    several = len({str(c["seed"]) for c in view.cells}) > 1
    return [
        Sentence(subject, f"{rest}{_seeds(those) if several else ''}.")
        for (subject, rest), those in seeds.items()
    ]


def _seeds(seeds: Sequence[str]) -> str:
    return f" (seed{'s' * (len(seeds) > 1)} {', '.join(seeds)})"


def _parity(view: View) -> tuple[str, Sentence | None]:
    """Return whether the networks are the same, and a warning about unproven ones."""
    proven, reasons, worst = 0, [], {"float64": 0.0, "float32": 0.0}
    for cell in view.cells:
        if cell.get("status") == "failed":  # listed as a problem
            continue
        parity = mapping(cell.get("parity"))
        if parity.get("ok") is None:
            reasons.append(str(parity.get("missing") or "it was not asked for"))
        elif parity["ok"]:
            proven += 1
            for rung in parity.get("rungs") or []:
                error, dtype = number_of(rung, "error"), str(rung.get("dtype"))
                worst[dtype] = max(worst.get(dtype, 0.0), error or 0.0)
    unproven = None
    if reasons:
        cells = "one cell" if len(reasons) == 1 else f"{len(reasons)} cells"
        rest = f" ({'; '.join(dict.fromkeys(reasons))})."
        unproven = Sentence(f"Parity of {cells} was not proven", rest)
    if not proven:
        return "" if unproven else "No cell was measured.", unproven
    count = "The one cell" if proven == 1 else f"All {proven} cells"
    if proven < len(view.cells):
        count = f"{proven} of {len(view.cells)} cells"
    text = (
        f"{count} passed parity before anything was timed: outputs, loss, every"
        " weight's update and every buffer equal the reference's to"
        f" {number(worst['float64'])} of scale in float64 and to"
        f" {number(worst['float32'])} in float32. Any difference below is due to the"
        " framework."
    )
    return text, unproven


def _speed(view: View, styles: Styles) -> Speed | None:
    """Return who is how much faster; where noise hides it, that it does."""
    if view.baseline is None:
        return None
    baseline = styles[view.baseline].title
    columns = [c for c in view.columns if c != view.baseline]
    counts = [
        _counted(view, column, step, styles, baseline)
        for column in columns
        for step in STEPS
    ]
    comparisons = []
    for preset in view.presets:
        for step in STEPS:
            for column in columns:
                rows = [t for t in view.find(preset, step) if t.column == column]
                text = _compared(rows, styles[column].title, baseline)
                if text:
                    comparisons.append(Sentence(f"{preset}, {step}.", f" {text}"))
    return Speed(
        baseline,
        sum(t.verdict == "within noise" for t in view.times),
        sum(t.verdict not in ("", "baseline") for t in view.times),
        list(filter(None, counts)),
        comparisons,
    )


def _by_verdict(rows: Iterable[Time]) -> dict[str, list[tuple[Time, Estimate]]]:
    """Return the times that have a ratio, with the ratio, by verdict."""
    return {
        word: [(t, t.ratio) for t in rows if t.verdict == word and t.ratio]
        for word in ("faster", "slower", "within noise")
    }


def _counted(
    view: View, column: Column, step: str, styles: Styles, baseline: str
) -> Sentence | None:
    """Count one column's wins and losses, and name its extremes."""
    rows = [t for t in view.times if (t.column, t.step) == (column, step)]
    by = _by_verdict(rows)
    total = sum(map(len, by.values()))
    if not total:
        return None
    counts = [f"{word} in {len(by[word])}" for word in ("faster", "slower") if by[word]]
    if by["within noise"]:
        counts.append(f"undecided in {len(by['within noise'])}")
    parts = [f", {step}, against {baseline}: {', '.join(counts)} of {total}"]
    for word, extreme, name in (("faster", min, "best"), ("slower", max, "worst")):
        if by[word]:
            t, estimate = extreme(by[word], key=lambda pair: pair[1].value)
            place = f"{t.preset}, batch {t.batch}"
            parts.append(f"{ratio(estimate)} at the {name}, {place}")
    return Sentence(styles[column].title, "; ".join(parts) + ".")


def _compared(rows: Iterable[Time], title: str, baseline: str) -> str:
    """Return one network's ratios in one column, at all batch sizes."""
    parts = []
    for word, pairs in _by_verdict(rows).items():
        if pairs:
            ratios = ", ".join(f"{ratio(r)} at batch {t.batch}" for t, r in pairs)
            verdict = f"{title} is {word} than {baseline}"
            if word == "within noise":
                verdict = f"{title} and {baseline} cannot be told apart"
            parts.append(f"{verdict}: {ratios}")
    return ". ".join(parts) + ("." if parts else "")


def _goals(view: View, styles: Styles) -> list[Sentence]:
    """Return when each network reached its target; no winner is named."""
    sentences = []
    for preset in view.presets:
        results = []
        for column in view.columns:
            rows = view.runs(preset, column)
            reached = [t for r in rows if (t := number_of(r, "seconds_to_target"))]
            asked = sum(number_of(r, "target") is not None for r in rows)
            if not asked:
                continue
            title = styles[column].title
            if not reached:
                results.append(f"{title} did not reach it")
                continue
            ends = dict.fromkeys(seconds(t) for t in (min(reached), max(reached)))
            count = f" ({len(reached)} of {asked} seeds)"
            count = "" if len(reached) == asked else count
            results.append(f"{title} after {' to '.join(ends)}{count}")
        if results:
            row = next(r for r in view.trainings if r["preset"] == preset)
            measure = measure_of(row)
            target = score(measure, number_of(row, "target"))
            subject = f"{preset}, trained to {measure} {target}:"
            sentences.append(Sentence(subject, f" {', '.join(results)}."))
    return sentences
