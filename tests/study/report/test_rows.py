"""What is taken from the rows of a study."""

import math

from tests.study.report.timings import base, timing
from zoo.study.report import rows as taken
from zoo.study.report.rows import views_of
from zoo.study.results import Study


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


def test_damaged_values_count_as_missing():
    row = {"a": True, "b": "3", "c": math.nan, "d": 2}
    found = [taken.number_of(row, name) for name in "abcde"]
    assert found == [None, None, None, 2, None]
    assert taken.numbers([1, None, math.inf, 2.5]) == [1, 2.5]
    assert taken.numbers("12") == []
    assert taken.mapping([1]) == {}
    assert taken.middle([{"x": 1}, {"x": 5}, {"x": None}], "x") == 3
    assert taken.middle([], "x") is None


def test_two_studies_of_one_name_are_numbered():
    studies = [Study({}, [base()], "s"), Study({}, [base()], "s")]
    assert [view.label for view in views_of(studies)] == ["s (1)", "s (2)"]


def test_a_column_has_its_frameworks_colour_and_its_modes_rank():
    made = [timing("", (1, 1, 1)), base(mode="compile"), base()]
    styles = taken.styles_of(views_of([Study({}, made, "s")]))
    found = [(c, s.key, s.rank) for c, s in styles.items()]
    assert found == [
        (("torch", "compile"), 0, 0),
        (("torch", "eager"), 1, 1),
        (("jax", "jit"), 2, 0),
    ]
    assert styles["torch", "eager"].colour == styles["torch", "compile"].colour
    assert styles["jax", "jit"].title == "Flax, jit"


def test_a_view_knows_its_plan_order_and_baseline():
    made = [base(), timing("", (1, 1, 1))]
    [view] = views_of([Study({"plan": {"name": "x"}}, made, "s")])
    assert view.plan == {"name": "x"}
    assert view.columns == [("torch", "eager"), ("jax", "jit")]
    assert (view.presets, view.baseline) == (["cnn"], ("torch", "eager"))
    assert view.batches("cnn", "training") == [32]
    assert view.find("cnn", "inference") == []
