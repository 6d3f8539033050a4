"""Cells are proven the same network before they are timed."""

from tests.study.fakes import Cells, compare, times
from zoo.study.engine import Failed


def test_a_cell_that_is_another_network_is_not_timed(tmp_path):
    engine = Cells()
    engine.spoilt = "tf"
    study = compare(tmp_path, engine)
    head = next(r for r in study.rows if r["row"] == "cell" and r["backend"] == "tf")
    assert head["status"] == "differs"
    assert "not the same network: forward in float64" in head["error"]
    assert not times(study, "tf")
    assert not [do for b, do, _ in engine.asked if b == "tf" and do == "first"]
    assert times(study, "jax")[0]["verdict"] == "faster"


def test_float64_alone_proves_too(tmp_path):
    engine = Cells()
    engine.spoilt = "tf"
    study = compare(tmp_path, engine, proof=("float64",))
    heads = [r for r in study.rows if r["row"] == "cell"]
    assert [h["status"] for h in heads] == ["ok", "differs", "ok"]
    assert {r["dtype"] for h in heads for r in h["parity"]["rungs"]} == {"float64"}
    assert {a["dtype"] for _, do, a in engine.asked if do == "prove"} == {"float64"}


def test_a_column_that_was_alone_is_proven_when_others_come(tmp_path):
    broken = [(b, "prove", None, Failed("no")) for b in ("tf", "jax")]
    first = compare(tmp_path, Cells(broken))
    assert first.rows[0]["parity"]["ok"] is None
    second = compare(tmp_path, Cells())
    assert all(r["parity"]["ok"] for r in second.rows if r["row"] == "cell")
