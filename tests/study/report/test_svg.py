"""SVG as strings, escaped."""

from tests.browser.study_rows import HOSTILE
from zoo.study.report import svg


def test_svg_escapes_what_is_not_markup():
    inner = svg.text(1, 2.25, HOSTILE, "end")
    assert inner.startswith('<text x="1.0" y="2.2" class="end">&lt;script&gt;')
    assert svg.element("g", inner, data_tip='"<') == (
        f'<g data-tip="&#34;&lt;">{inner}</g>'
    )


def test_names_of_attributes_and_those_that_are_none():
    found = svg.element("rect", x=1.26, width=3, stroke_width=2, class_="a", fill=None)
    assert found == '<rect x="1.3" width="3" stroke-width="2" class="a"/>'
    assert svg.path("M0 0", "line") == '<path class="line" d="M0 0"/>'
    assert svg.text(1, 2, "a & b") == '<text x="1.0" y="2.0">a &amp; b</text>'


def test_an_image_has_its_title_for_those_who_listen():
    found = svg.image('Time "per" step', 90.4, svg.path("M0 0"))
    assert "<title>Time &#34;per&#34; step</title>" in found
    assert 'aria-label="Time &#34;per&#34; step"' in found
    assert 'viewBox="0 0 360 90"' in found
