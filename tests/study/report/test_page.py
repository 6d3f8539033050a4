"""The words and numbers of a study's report; how it looks is for tests/browser."""

import json
import math
import re

import pytest

from tests.browser.study_rows import HOSTILE, study
from zoo.study.intervals import Estimate
from zoo.study.report import (
    charts,
    page,
)
from zoo.study.report import (
    diff as page_diff,
)
from zoo.study.report import (
    tables as page_tables,
)
from zoo.study.report import (
    words as page_words,
)
from zoo.study.report.rows import styles, views
from zoo.study.results import Study


def timing(verdict, ratio, **more):
    """Return a timing row; `ratio` is value, low and high."""
    names = ("ratio", "ratio_low", "ratio_high")
    return {
        "row": "timing",
        "preset": "cnn",
        "backend": "jax",
        "mode": "jit",
        "seed": 0,
        "batch_size": 32,
        "machine": "m",
        "what": "training",
        "status": "ok",
        "seconds": [0.01, 0.011],
        "median_s": 0.0105,
        "low_s": 0.01,
        "high_s": 0.011,
        "baseline": {"backend": "torch", "mode": "eager"},
        "verdict": verdict,
        **dict(zip(names, ratio)),
        **more,
    }


def base(**more):
    more = {"backend": "torch", "mode": "eager", **more}
    return timing("baseline", (1.0, 1.0, 1.0), **more)


def told(*rows):
    """Return the summary's text without its tags."""
    found = views([Study({}, list(rows), "s")])
    return re.sub("<[^>]+>", "", page_words.summary(found, styles(found)))


def test_a_winner_is_named_only_outside_the_noise():
    clear = told(base(), timing("faster", (0.61, 0.58, 0.64)))
    assert "Flax, jit is faster than PyTorch: 0.61× (0.58 to 0.64) at batch 32" in clear
    noisy = told(base(), timing("within noise", (0.97, 0.9, 1.04)))
    assert "cannot be told apart: 0.97× (0.90 to 1.04)" in noisy
    assert "1 of 1 comparisons cannot be decided" in noisy
    assert "is faster than" not in noisy


def test_seeds_are_taken_together():
    # Each seed alone would be called faster; their pairs together cannot be.
    rows = []
    for seed, ours in enumerate(([0.9] * 3, [1.1] * 3)):
        pairs = {"seconds": ours, "baseline_seconds": [1.0] * 3}
        rows += [base(seed=seed), timing("faster", (0.9, 0.9, 0.9), seed=seed, **pairs)]
    (view,) = views([Study({}, rows, "s")])
    found = next(t for t in view.times if t.column == ("jax", "jit"))
    assert found.samples == (0.9, 0.9, 0.9, 1.1, 1.1, 1.1)
    assert found.verdict == "within noise" and found.ratio.value == 1.0


def test_a_measurement_counts_once_and_machines_stay_apart():
    rows = [timing("", (1, 1, 1), median_s=9.0), timing("", (1, 1, 1))]
    rows.append(timing("", (1, 1, 1), machine="other", median_s=5.0))
    first, second = views([Study({}, rows, "s")])
    assert [t.seconds.value for t in first.times] == [0.0105]
    assert [t.seconds.value for t in second.times] == [5.0]
    assert (first.label, second.label) == ("s, machine m", "s, machine other")


def test_every_name_is_escaped():
    one = study(seeds=(0,))
    for html in (page.render([one]), page.render_diff(one, study("other", seeds=(0,)))):
        assert HOSTILE not in html and "&lt;script&gt;alert(1)" in html
        assert html.count("<script>") == 1
        assert not re.search(r'(src|href)="(?!#|data:)', html)


def test_bare_and_damaged_rows_still_give_a_report():
    bare = {"preset": "cnn", "backend": "torch", "mode": "eager", "seed": 0}
    odd = {"seconds": None, "median_s": math.nan, "share": "x", "peak_bytes": True}
    rows = [
        {"row": "cell", **bare},
        {"row": "cell", **bare, "backend": "new", "parity": [], "settings": 3},
        {"row": "timing", **bare, "what": "training", "batch_size": 1, **odd},
        {"row": "training", **bare, "losses": [math.inf, None], "evaluations": None},
    ]
    rows = [json.loads(json.dumps(row)) for row in rows]
    html = page.render([Study({}, rows, "s")])
    assert "Left out: “How long one step takes” (no step was timed)" in html
    assert "nan" not in html.split("</style>")[1].split("<script>")[0].lower()
    assert "study.json is missing" in html


def test_what_changed():
    old, new = study("old", seeds=(0,)), study("new", seeds=(0,), pace=0.5)
    gone = [r for r in new.rows if (r["backend"], r["mode"]) != ("torch", "compile")]
    for row in gone:
        if row["row"] == "cell":
            row["versions"]["jax"] = "0.11.0"
    html = page.render_diff(old, new._replace(rows=gone))
    text = re.sub("<[^>]+>", " ", html)
    assert re.search(
        r"46 times were measured in both: 46 became\s+faster, 0 slower", text
    )
    assert re.search(r"jax\s+0\.10\.2\s+0\.11\.0", text)
    assert re.search(r"PyTorch, torch.compile, seed 0\s+is not in the new study", text)


def test_unpaired_ratio():
    # Medians 2 and 1, known exactly: every draw of a constant is the constant.
    assert page_diff.unpaired_ratio([2.0] * 5, [1.0] * 5) == Estimate(2.0, 2.0, 2.0)
    wide = page_diff.unpaired_ratio([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert wide.value == 1.0 and wide.low == pytest.approx(1 / 3)
    assert wide.high == pytest.approx(3.0)


def test_numbers_in_words():
    assert [charts.number(v) for v in (0, 12.34, 5.0, 1234.4, 2e-15)] == [
        "0", "12.3", "5", "1,234", "2e-15",
    ]  # fmt: skip
    assert (
        page_words.seconds(0.01234) == "12.3 ms" and page_words.seconds(5) == "5.00 s"
    )
    assert page_words.times(0.9984) == "0.998×"  # not 1.00, beside the line as it is
    assert page_words.times(0.0123) == "0.012×" and page_words.times(12.34) == "12.3×"
    assert page_words.mebibytes(3 * 2**20) == "3 MiB"


def test_axes():
    linear = charts.Axis(0, 10, 0, 100)
    assert linear(5) == 50 and linear(99) == 100  # nothing leaves the picture
    ratio = charts.Axis(0.25, 4, 0, 100, log=True, values=[0.5, 1, 2])
    assert ratio(1) == 50 and [words for _, words in ratio.ticks(5)] == [
        "0.5",
        "1",
        "2",
    ]
    apart = [at for at, _ in charts.Axis(1, 1e6, 0, 60, log=True).ticks(20)]
    assert all(abs(a - b) >= 20 for a in apart for b in apart if a != b)


def test_heat_map_colours():
    assert page_tables.heat(1e-10, 1e-10)[0] == page_tables.CIVIDIS[0]  # at the limit
    assert page_tables.heat(1e-17, 1e-10)[0] == page_tables.CIVIDIS[-1]
    assert page_tables.heat(0.0, 1e-10)[0] == page_tables.CIVIDIS[-1]  # equal
