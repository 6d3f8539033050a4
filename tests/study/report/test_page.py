"""The words and numbers of a study's report; how it looks is for tests/browser."""

import json
import math
import re

import pytest
from jinja2 import UndefinedError

from tests.browser.study_rows import HOSTILE, study
from zoo.study.intervals import Estimate
from zoo.study.report import diff, heat, jinja, page, svg, words
from zoo.study.report.axes import Axis
from zoo.study.report.rows import views_of
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


def summary(*rows):
    """Return the summary's text without its tags."""
    html = page.render([Study({}, list(rows), "s")])
    section = re.search('<section id="summary">.*?</section>', html, re.DOTALL)
    return re.sub("<[^>]+>", "", section[0])


def test_a_winner_is_named_only_outside_the_noise():
    clear = summary(base(), timing("faster", (0.61, 0.58, 0.64)))
    assert "Flax, jit is faster than PyTorch: 0.61× (0.58 to 0.64) at batch 32" in clear
    noisy = summary(base(), timing("within noise", (0.97, 0.9, 1.04)))
    assert "cannot be told apart: 0.97× (0.90 to 1.04)" in noisy
    assert "1 of 1 comparisons cannot be decided" in noisy
    assert "is faster than" not in noisy


def test_seeds_are_taken_together():
    # Each seed alone would be called faster; their pairs together cannot be.
    rows = []
    for seed, ours in enumerate(([0.9] * 3, [1.1] * 3)):
        pairs = {"seconds": ours, "baseline_seconds": [1.0] * 3}
        rows += [base(seed=seed), timing("faster", (0.9, 0.9, 0.9), seed=seed, **pairs)]
    (view,) = views_of([Study({}, rows, "s")])
    time = next(t for t in view.times if t.column == ("jax", "jit"))
    assert time.samples == (0.9, 0.9, 0.9, 1.1, 1.1, 1.1)
    assert time.verdict == "within noise" and time.ratio.value == 1.0


def test_a_measurement_counts_once_and_machines_stay_apart():
    rows = [timing("", (1, 1, 1), median_s=9.0), timing("", (1, 1, 1))]
    rows.append(timing("", (1, 1, 1), machine="other", median_s=5.0))
    first, second = views_of([Study({}, rows, "s")])
    assert [t.seconds.value for t in first.times] == [0.0105]
    assert [t.seconds.value for t in second.times] == [5.0]
    assert (first.label, second.label) == ("s, machine m", "s, machine other")


def test_every_name_is_escaped():
    one = study(seeds=(0,))
    for html in (page.render([one]), page.render_diff(one, study("other", seeds=(0,)))):
        assert HOSTILE not in html and "&lt;script&gt;alert(1)" in html
        assert html.count("<script>") == 1
        assert not re.search(r'(src|href)="(?!#|data:)', html)


def test_nothing_is_escaped_twice():
    quoted = study("a & b's", seeds=(0,))
    html = page.render([quoted]) + page.render_diff(quoted, quoted)
    assert "a &amp; b&#39;s" in html
    assert not re.search("&amp;(#|amp|lt|gt|quot)", html)


def test_svg_escapes_what_is_not_markup():
    inner = svg.text(1, 2.25, HOSTILE, "end")
    assert inner.startswith('<text x="1.0" y="2.2" class="end">&lt;script&gt;')
    assert svg.element("g", inner, data_tip='"<') == (
        f'<g data-tip="&#34;&lt;">{inner}</g>'
    )


def test_a_value_that_a_template_misses_is_an_error():
    with pytest.raises(UndefinedError):
        jinja.render("legend.html")


def test_bare_and_damaged_rows_still_give_a_report():
    bare = {"preset": "cnn", "backend": "torch", "mode": "eager", "seed": 0}
    damaged = {"seconds": None, "median_s": math.nan, "share": "x", "peak_bytes": True}
    rows = [
        {"row": "cell", **bare},
        {"row": "cell", **bare, "backend": "new", "parity": [], "settings": 3},
        {"row": "timing", **bare, "what": "training", "batch_size": 1, **damaged},
        {"row": "training", **bare, "losses": [math.inf, None], "evaluations": None},
    ]
    rows = [json.loads(json.dumps(row)) for row in rows]
    html = page.render([Study({}, rows, "s")])
    assert "Left out: “How long one step takes” (no step was timed)" in html
    assert "nan" not in html.split("</style>")[1].split("<script>")[0].lower()
    assert "study.json is missing" in html


def test_changes():
    old, new = study("old", seeds=(0,)), study("new", seeds=(0,), pace=0.5)
    gone = [r for r in new.rows if (r["backend"], r["mode"]) != ("torch", "compile")]
    for row in gone:
        if row["row"] == "cell":
            row["versions"]["jax"] = "0.11.0"
    html = page.render_diff(old, new._replace(rows=gone))
    text = re.sub("<[^>]+>", " ", html)
    assert "46 times were measured in both: 46 became faster, 0 slower" in text
    assert re.search(r"jax\s+0\.10\.2\s+0\.11\.0", text)
    assert re.search(r"PyTorch, torch.compile, seed 0\s+is not in the new study", text)


def test_unpaired_ratio():
    # Medians 2 and 1, known exactly: every draw of a constant is the constant.
    assert diff.unpaired_ratio([2.0] * 5, [1.0] * 5) == Estimate(2.0, 2.0, 2.0)
    wide = diff.unpaired_ratio([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert wide.value == 1.0 and wide.low == pytest.approx(1 / 3)
    assert wide.high == pytest.approx(3.0)


def test_numbers_in_words():
    assert [words.number(v) for v in (0, 12.34, 5.0, 1234.4, 2e-15)] == [
        "0", "12.3", "5", "1,234", "2e-15",
    ]  # fmt: skip
    assert words.seconds(0.01234) == "12.3 ms" and words.seconds(5) == "5.00 s"
    assert words.times(0.9984) == "0.998×"  # not 1.00, beside the line as it is
    assert words.times(0.0123) == "0.012×" and words.times(12.34) == "12.3×"
    assert words.mebibytes(3 * 2**20) == "3 MiB"


def test_axes():
    linear = Axis(0, 10, 0, 100)
    assert linear(5) == 50 and linear(99) == 100  # nothing leaves the picture
    ratio = Axis(0.25, 4, 0, 100, log=True, values=[0.5, 1, 2])
    assert ratio(1) == 50 and [label for _, label in ratio.ticks(5)] == [
        "0.5",
        "1",
        "2",
    ]
    apart = [position for position, _ in Axis(1, 1e6, 0, 60, log=True).ticks(20)]
    assert all(abs(a - b) >= 20 for a in apart for b in apart if a != b)


def test_heat_map_colours():
    assert heat.colours(1e-10, 1e-10)[0] == heat.CIVIDIS[0]  # at the limit
    assert heat.colours(1e-17, 1e-10)[0] == heat.CIVIDIS[-1]
    assert heat.colours(0.0, 1e-10)[0] == heat.CIVIDIS[-1]  # equal
