"""Reports of checks: when they are ok, and what they say, as text and as JSON."""

import json
import math

import pytest

from zoo.parity.report import Divergence, Report, Rung

GOOD = [
    Rung("names", "", "torch", True, 0.0, 0.0),
    Rung("names", "", "jax", True, 0.0, 0.0),
    Rung("forward", "float64", "torch", True, 0.0, 1e-10),
    Rung("forward", "float64", "jax", True, 2e-16, 1e-10, note="inputs drawn anew"),
]
BAD = Rung("gradients", "float32", "jax", False, math.inf, 1e-4, "fc.weight")


def report(*more, **changes):
    return Report("mlp", ["torch", "jax"], 1234, [*GOOD, *more], **changes)


def test_it_is_ok_when_all_was_walked_and_passed():
    assert report().ok
    assert not report(BAD).ok
    assert not report(missing=["tf: not installed"]).ok
    assert not Report("mlp", ["torch"]).ok  # nothing was walked


def test_the_worst_error_of_a_rung():
    found = report(BAD)
    assert found.worst("forward", "float64") == 2e-16
    assert found.worst("forward", "float64", "torch") == 0
    assert math.isnan(found.worst("forward", "float32"))


def test_json_has_no_infinity():
    found = json.loads(report(BAD, seconds=1.5).to_json())
    assert found["ok"] is False
    assert found["rungs"][-1]["error"] == "inf"
    assert (found["parameters"], found["seconds"]) == (1234, 1.5)
    assert found["first_divergence"] is None


def test_the_summary_ends_with_the_verdict():
    assert report().summary() == [
        "forward float64: inputs drawn anew",
        "torch = jax: the same model",
    ]
    first = Divergence("gradients", "float32", "jax", "fc", None, 0.123456)
    lines = report(BAD, missing=["tf: gone"], first_divergence=first).summary()
    assert lines[0] == "missing: tf: gone"
    assert lines[-1] == "torch = jax: NOT proven the same"


@pytest.mark.parametrize(
    "where, dtype, cause, told",
    [
        (
            "bn1", "float64", "BatchNorm eps",
            "first divergence: forward in float64, tf, at bn1, error 0.002; likely"
            " cause: BatchNorm eps",
        ),
        (
            "", "", None,
            "first divergence: forward, tf, at the model itself, error 0.002",
        ),
    ],
)  # fmt: skip
def test_a_divergence_in_words(where, dtype, cause, told):
    assert str(Divergence("forward", dtype, "tf", where, cause, 2e-3)) == told


def test_the_table_has_a_row_for_each_rung_and_dtype():
    lines = [line.split() for line in str(report(BAD)).splitlines()]
    assert ["│", "names", "│", "│", "ok", "│", "ok", "│", "exact", "│"] in lines
    text = str(report(BAD))
    assert "mlp · 1,234 parameters · 0.0 s" in text
    assert "FAIL inf" in text
    assert "–" in text  # torch has no such rung
