"""A report's page as a whole; how it looks is for tests/browser."""

import json
import math
import re

from tests.browser.study_rows import HOSTILE, study
from zoo.study.report import page
from zoo.study.results import Study


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
