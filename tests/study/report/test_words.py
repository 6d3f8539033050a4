"""Numbers in words."""

from zoo.study.intervals import Estimate
from zoo.study.report import words


def test_numbers_in_words():
    assert [words.number(v) for v in (0, 12.34, 5.0, 1234.4, 2e-15)] == [
        "0", "12.3", "5", "1,234", "2e-15",
    ]  # fmt: skip
    assert words.seconds(0.01234) == "12.3 ms" and words.seconds(5) == "5.00 s"
    assert words.times(0.9984) == "0.998×"  # not 1.00, beside the line as it is
    assert words.times(0.0123) == "0.012×" and words.times(12.34) == "12.3×"
    assert words.mebibytes(3 * 2**20) == "3 MiB"


def test_three_digits_are_kept():
    found = [words.three(v) for v in (0, 5, 12.3456, 0.00123, 123_456, -1.5)]
    assert found == ["0", "5.00", "12.3", "0.00123", "123,456", "-1.50"]
    assert [words.three(v) for v in (1.2e-9, 3e7)] == ["1.2e-9", "3e7"]
    assert words.three(float("inf")) == "–"


def test_units_of_time():
    assert words.unit_of(2.0) == (1.0, "s")
    assert words.unit_of(0.5) == (1e-3, "ms")
    assert words.unit_of(1e-4) == (1e-6, "µs")
    assert words.seconds(2.5e-5) == "25.0 µs"


def test_what_is_missing_is_a_dash():
    for write in (words.seconds, words.mebibytes, words.percent):
        assert write(None) == "–"
    assert words.score("loss", None) == "–"


def test_scores_and_moments():
    assert words.percent(0.98765) == "98.8 %"
    assert words.score("accuracy", 0.5) == "50 %"
    assert words.score("loss", 0.5) == "0.5"
    assert words.measure_of({}) == "accuracy"
    assert words.measure_of({"measure": "iou"}) == "iou"
    assert words.moment("2026-11-21T14:00:59+00:00") == "2026-11-21 14:00 UTC"
    assert words.moment("yesterday") == "yesterday"
    assert words.moment(None) == ""


def test_ratios_have_their_interval():
    assert words.ratio(Estimate(0.834, 0.8, 0.868)) == "0.83× (0.80 to 0.87)"
