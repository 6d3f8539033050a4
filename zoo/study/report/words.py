"""Numbers in words, and what a report says in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape as e
from typing import Any

from ..intervals import Estimate
from ..results import STEPS, ResultRow
from .charts import Style, number, three
from .rows import Column, Time, View, mapping, number_of

Styles = Mapping[Column, Style]
_MOST = 8  # sentences on single comparisons that are shown at once


def unit_of(largest: float) -> tuple[float, str]:
    """Return what seconds are divided by, and the unit, for a chart up to `largest`."""
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if largest >= size:
            return size, unit
    return 1e-6, "µs"


def seconds(value: float | None) -> str:
    """Return "12.3 ms"."""
    if value is None:
        return "–"
    size, unit = unit_of(abs(value))
    return f"{three(value / size)} {unit}"


def mebibytes(value: float | None) -> str:
    """Return bytes as "123 MiB"."""
    return "–" if value is None else f"{number(value / 2**20)} MiB"


def percent(value: float | None) -> str:
    """Return a share as "98.6 %"."""
    return "–" if value is None else f"{number(100 * value)} %"


def moment(words: Any) -> str:
    """Return an ISO time as "2026-11-21 14:00 UTC"."""
    text = str(words or "")
    return text[:16].replace("T", " ") + " UTC" if text.endswith("+00:00") else text


def times(value: float) -> str:
    """Return a ratio as "0.83x"."""
    if value >= 10 or value < 0.1:
        return f"{three(value) if value >= 10 else f'{value:.2g}'}×"
    # A bound just beside 1 must not be rounded on to it.
    return f"{value:.3f}×" if 0.995 <= value < 1.005 else f"{value:.2f}×"


def ratio(found: Estimate) -> str:
    """Return "0.83× (0.80 to 0.87)"."""
    low, high = (times(v).removesuffix("×") for v in found[1:])
    return f"{times(found.value)} ({low} to {high})"


def measure_of(row: ResultRow) -> str:
    """Return what a training run was judged by: accuracy, unless it says."""
    return str(row.get("measure") or "accuracy")


def items(sentences: Sequence[str], kind: str = "") -> str:
    """Return a list of sentences that are HTML already."""
    kind = f' class="{kind}"' if kind else ""
    return f"<ul{kind}>" + "".join(f"<li>{s}</li>" for s in sentences) + "</ul>"


def summary(found: Sequence[View], styles: Styles) -> str:
    """Return the summary in words, as HTML."""
    parts = []
    for view in found:
        if len(found) > 1:
            parts.append(f"<h3>{e(view.label)}</h3>")
        parts.append(_odd(view, styles))
        parts.append(f"<p>{_parity(view, styles)}</p>")
        parts.append(_speed(view, styles))
        parts.append(_training(view, styles))
    return "".join(parts)


def _title(styles: Styles, row: ResultRow) -> str:
    return e(styles[str(row["backend"]), str(row["mode"])].title)


def _odd(view: View, styles: Styles) -> str:
    """Tell what failed, cells, sizes and runs; the same of several seeds once."""
    told: dict[str, list[str]] = {}
    for row in [*view.cells, *view.timings, *view.trainings]:
        if row.get("status") in (None, "ok"):
            continue
        who = f"<b>{e(str(row['preset']))} in {_title(styles, row)}</b>"
        why = e(str(row.get("error") or "no reason given")).removesuffix(".")
        if row["row"] != "cell":
            what = row.get("what", "training run")
            who += e(f", {what}, batch {row.get('batch_size')},")
        verb = "failed"
        if row["status"] == "differs":
            verb = "was not timed, for it failed parity"
        told.setdefault(f"{who} {verb}: {why}", []).append(str(row["seed"]))
    several = len({str(c["seed"]) for c in view.cells}) > 1
    return _list(
        [
            f"{words} (seed{'s' * (len(seeds) > 1)} {', '.join(seeds)})."
            if several
            else f"{words}."
            for words, seeds in told.items()
        ],
        "odd",
    )


def _list(sentences: Sequence[str], kind: str = "") -> str:
    return items(sentences, kind) if sentences else ""


def _parity(view: View, styles: Styles) -> str:
    """Tell in a sentence or two whether the networks are the same."""
    proven, missing, worst = [], [], {"float64": 0.0, "float32": 0.0}
    for cell in view.cells:
        if cell.get("status") == "failed":  # told above; there was nothing to prove
            continue
        parity = mapping(cell.get("parity"))
        if parity.get("ok") is None:
            why = str(parity.get("missing") or "it was not asked for")
            missing.append(why)
        elif parity["ok"]:
            proven.append(cell)
            for rung in parity.get("rungs") or []:
                error, dtype = number_of(rung, "error"), str(rung.get("dtype"))
                worst[dtype] = max(worst.get(dtype, 0.0), error or 0.0)
    told = ""
    if proven:
        count = "The one cell" if len(proven) == 1 else f"All {len(proven)} cells"
        if len(proven) < len(view.cells):
            count = f"{len(proven)} of {len(view.cells)} cells"
        told = (
            f"{count} passed parity before anything was timed: outputs, loss, every"
            " weight's update and every buffer are those of the reference to"
            f" {number(worst['float64'])} of scale in float64 and to"
            f" {number(worst['float32'])} in float32. What differs below is the"
            " framework."
        )
    if missing:
        why = "; ".join(e(w) for w in dict.fromkeys(missing))
        cells = "one cell" if len(missing) == 1 else f"{len(missing)} cells"
        told += f" <b>Parity of {cells} was not proven</b> ({why})."
    return told or "No cell was measured."


def _speed(view: View, styles: Styles) -> str:
    """Tell who is how much faster; where noise hides it, that it does."""
    base = view.baseline
    if base is None:
        return (
            "<p>Nothing was timed against a baseline, so nobody is called faster.</p>"
        )
    name = e(styles[base].title)
    counts, sentences = [], []
    others = [c for c in view.columns if c != base]
    for column in others:
        for what in STEPS:
            counts += _counted(view, column, what, styles, name)
    for preset in view.presets:
        for what in STEPS:
            for column in others:
                found = [t for t in view.find(preset, what) if t.column == column]
                told = _compared(found, e(styles[column].title), name)
                if told:
                    sentences.append(f"<b>{e(preset)}, {what}.</b> {told}")
    lead = (
        f"<p>Ratios are of step times against {name}: below 1× is faster. In brackets"
        " is the interval that holds the true ratio with 95 % confidence; where it"
        " holds 1, the noise hides the difference and no winner is named. Of twenty"
        " pairs that are truly equal, about one will still look different.</p>"
    )
    hidden = sum(t.verdict == "within noise" for t in view.times)
    if hidden:
        total = sum(t.verdict not in ("", "baseline") for t in view.times)
        lead += (
            f'<p class="noise"><b>Noise:</b> {hidden} of {total} comparisons cannot be'
            " decided. More rounds, or a quieter machine, may tell.</p>"
        )
    more = items(sentences)
    if len(sentences) > _MOST:
        more = f"<details><summary>Every comparison in words</summary>{more}</details>"
    return lead + items(counts, "counts") + more


def _by_verdict(found: Iterable[Time]) -> dict[str, list[tuple[Time, Estimate]]]:
    """Return the times that have a ratio, with it, by what it says."""
    return {
        word: [(t, t.ratio) for t in found if t.verdict == word and t.ratio]
        for word in ("faster", "slower", "within noise")
    }


def _counted(
    view: View, column: Column, what: str, styles: Styles, base: str
) -> list[str]:
    """Count one column's wins and losses; name its extremes."""
    mine = [t for t in view.times if (t.column, t.what) == (column, what)]
    by = _by_verdict(mine)
    total = sum(map(len, by.values()))
    if not total:
        return []
    words = [f"{w} in {len(by[w])}" for w in ("faster", "slower") if by[w]]
    if by["within noise"]:
        words.append(f"undecided in {len(by['within noise'])}")
    parts = [
        f"<b>{e(styles[column].title)}</b>, {what}, against {base}:"
        f" {', '.join(words)} of {total}"
    ]
    for word, best, end in (("faster", min, "best"), ("slower", max, "worst")):
        if by[word]:
            t, r = best(by[word], key=lambda pair: pair[1].value)
            at = f"{e(t.preset)}, batch {t.batch}"
            parts.append(f"{ratio(r)} at the {end}, {at}")
    return ["; ".join(parts) + "."]


def _compared(found: Iterable[Time], who: str, base: str) -> str:
    """Return one network's ratios in one column, all batch sizes, in a sentence."""
    parts = []
    for word, those in _by_verdict(found).items():
        if those:
            told = ", ".join(f"{ratio(r)} at batch {t.batch}" for t, r in those)
            how = f"{who} is {word} than {base}"
            if word == "within noise":
                how = f"{who} and {base} cannot be told apart"
            parts.append(f"{how}: {told}")
    return ". ".join(parts) + ("." if parts else "")


def _training(view: View, styles: Styles) -> str:
    """Tell what the training runs came to; times without interval name no winner."""
    told = []
    for preset in view.presets:
        words = []
        for column in view.columns:
            rows = [
                r
                for r in view.trainings
                if (r["preset"], r["backend"], r["mode"]) == (preset, *column)
            ]
            reached = [t for r in rows if (t := number_of(r, "seconds_to_target"))]
            asked = [t for r in rows if (t := number_of(r, "target")) is not None]
            if not asked:
                continue
            name = e(styles[column].title)
            if not reached:
                words.append(f"{name} did not reach it")
                continue
            ends = dict.fromkeys(seconds(t) for t in (min(reached), max(reached)))
            count = f" ({len(reached)} of {len(asked)} seeds)"
            every = len(reached) == len(asked)
            words.append(f"{name} after {' to '.join(ends)}{'' if every else count}")
        if words:
            rows = [r for r in view.trainings if r["preset"] == preset]
            goal = aim(rows[0])
            told.append(f"<b>{e(preset)}, trained to {goal}:</b> {', '.join(words)}.")
    return items(told) if told else ""


def aim(row: ResultRow) -> str:
    """Return a training run's target in words: "accuracy 95 %"."""
    measure, target = measure_of(row), number_of(row, "target")
    return e(f"{measure} {score(measure, target)}")


def score(measure: str, value: Any) -> str:
    """Return what a run was judged by: shares in percent, a loss as it is."""
    if value is None:
        return "–"
    return number(value) if measure == "loss" else percent(value)
