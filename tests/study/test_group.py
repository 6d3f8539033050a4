"""Groups of cells: proven, timed in turn, restarted when a process is lost."""

import json

import pytest

from tests.study.fakes import Cells, compare, times
from zoo.study import results
from zoo.study import terminal as table
from zoo.study.engine import Failed, Lost, Moved


def test_rows_say_who_is_faster_by_how_much(tmp_path):
    engine = Cells()
    study = compare(tmp_path, engine)
    assert engine.alive == 0
    heads = [r for r in study.rows if r["row"] == "cell"]
    assert [h["status"] for h in heads] == ["ok"] * 3
    assert all(h["parity"]["ok"] and h["machine"] == "abc" for h in heads)
    verdicts = {
        b: {r["verdict"] for r in times(study, b)} for b in ("torch", "tf", "jax")
    }
    assert verdicts == {"torch": {"baseline"}, "tf": {"slower"}, "jax": {"faster"}}
    row = times(study, "jax")[0]
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"] < 0.55
    assert row["share"] == pytest.approx(row["gflops"] / 100)
    on_disk = (tmp_path / "study" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in on_disk] == study.rows
    common = {
        "row",
        "study",
        "preset",
        "backend",
        "mode",
        "seed",
        "batch_size",
        "machine",
    }
    assert all(common <= row.keys() for row in study.rows)
    # rounds: each column in turn, another one first each time
    turns = [b for b, do, _ in engine.asked if do == "burst"][:9]
    assert turns == ["torch", "tf", "jax", "tf", "jax", "torch", "jax", "torch", "tf"]


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


def test_a_lost_worker_is_started_anew_and_nothing_else_is_lost(tmp_path):
    faults = [
        ("jax", "prove", None, Lost("killed")),
        ("jax", "build", None, Lost("killed")),
        ("jax", "first", 8, Lost("killed")),
        ("jax", "matmul", None, Lost("killed")),
        ("tf", "burst", 1, Lost("killed")),
        ("tf", "burst", 8, Lost("killed")),
        ("tf", "build", None, Lost("killed")),
    ]
    study = compare(tmp_path, Cells(faults))
    assert all(r["status"] == "ok" for r in study.rows)
    assert len(study.rows) == 3 + 3 * 4


def test_a_batch_too_large_for_memory_fails_and_smaller_ones_stay(tmp_path):
    lost = Lost("killed (SIGKILL), as the system does where memory runs out")
    faults = [("tf", "first", 8, lost), ("tf", "first", 8, lost)]
    engine = Cells(faults)
    study = compare(tmp_path, engine, batch_sizes=(1, 8, 64))
    rows = {r["batch_size"]: r for r in times(study, "tf") if r["what"] == "inference"}
    assert rows[1]["verdict"] == "slower"
    assert "memory" in rows[8]["error"]
    assert rows[64]["error"] == "not tried: batch 8 failed"
    assert [r["status"] for r in times(study, "jax")] == ["ok"] * 6


def test_what_one_batch_size_cannot_do_another_may(tmp_path):
    """Batch norm has no variance of one example; 8 are fine, and so is the rest."""
    faults = [("torch", "first", 1, Failed("Expected more than 1 value per channel"))]
    study = compare(tmp_path, Cells(faults))
    rows = times(study, "torch")
    assert [r["status"] for r in rows] == ["failed", "ok", "ok", "ok"]
    assert "ratio" not in times(study, "tf")[0]  # with nothing to be held against
    shown = [table._time(r) for r in times(study, "tf")[:2]]
    assert "~" not in shown[0]
    assert "x)" in shown[1]


def test_an_accident_is_tried_again_and_a_baseline_takes_all_with_it(tmp_path):
    lost = [("jax", "burst", 8, Lost("died of SIGSEGV"))] * 2
    first = compare(tmp_path, Cells(lost))
    assert [r["status"] for r in times(first, "jax")].count("failed") == 1
    again = Cells()
    second = compare(tmp_path, again)
    assert {b for b, _, _ in again.asked} == {"torch", "jax"}
    assert all(r["status"] == "ok" for r in second.rows)
    folder = results.StudyFolder(tmp_path / "study")
    base = next(
        r for r in second.rows if r["row"] == "cell" and r["backend"] == "torch"
    )
    (folder.cells / f"{base['key']}.json").unlink()
    all_anew = Cells()
    third = compare(tmp_path, all_anew)
    assert {b for b, _, _ in all_anew.asked} == {"torch", "tf", "jax"}
    assert all(r["parity"]["ok"] for r in third.rows if r["row"] == "cell")
    assert (
        times(third, "tf")[0]["baseline_seconds"] == times(third, "torch")[0]["seconds"]
    )


def test_a_column_that_was_alone_is_proven_when_others_come(tmp_path):
    broken = [(b, "prove", None, Failed("no")) for b in ("tf", "jax")]
    first = compare(tmp_path, Cells(broken))
    assert first.rows[0]["parity"]["ok"] is None
    second = compare(tmp_path, Cells())
    assert all(r["parity"]["ok"] for r in second.rows if r["row"] == "cell")


def test_a_failed_cell_leaves_the_others_and_is_tried_again_with_its_baseline(tmp_path):
    broken = Failed("RuntimeError: no")
    first = compare(tmp_path, Cells([("jax", "build", None, broken)]))
    assert [r["status"] for r in first.rows if r["row"] == "cell"] == [
        "ok",
        "ok",
        "failed",
    ]
    kept = {p.name: p.read_text() for p in (tmp_path / "study" / "cells").iterdir()}
    again = Cells()
    second = compare(tmp_path, again)
    assert {b for b, _, _ in again.asked} == {"torch", "jax"}  # not Keras again
    now = {p.name: p.read_text() for p in (tmp_path / "study" / "cells").iterdir()}
    assert sum(kept[name] == now[name] for name in kept) == 2
    rows = times(second, "jax")
    assert rows[0]["verdict"] == "faster"
    assert rows[0]["baseline_seconds"] != times(second, "torch")[0]["seconds"]
    nothing = Cells()
    assert compare(tmp_path, nothing).rows == second.rows
    assert not nothing.asked


def test_a_group_whose_machine_is_gone_begins_anew_elsewhere(tmp_path):
    engine = Cells([("tf", "burst", None, Moved("machine 1 has left"))])
    study = compare(tmp_path, engine)
    assert all(r["status"] == "ok" for r in study.rows)
    assert [b for b, do, _ in engine.asked if do == "prove"].count("torch") == 4
