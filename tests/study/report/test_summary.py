"""The summary's sentences."""

import re

from tests.study.report.timings import base, timing
from zoo.study.report import page
from zoo.study.results import Study


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
