"""What differs between two studies."""

import re

import pytest

from tests.browser.study_rows import study
from zoo.study.intervals import Estimate
from zoo.study.report import diff, page


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
