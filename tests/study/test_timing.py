"""Cells timed in turn: who is faster, and which batch sizes fail."""

import json
from types import SimpleNamespace

import pytest

from tests.study.fakes import Cells, compare, times
from zoo.study import terminal as table
from zoo.study import timing
from zoo.study.engine import Failed, Lost


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


def test_each_round_begins_with_another_column():
    turns = [timing._in_turn(["a", "b", "c"], turn) for turn in range(4)]
    assert ["".join(turn) for turn in turns] == ["abc", "bca", "cab", "abc"]
    assert timing._in_turn([], 3) == []


@pytest.mark.parametrize(
    "paces, rounds",
    [([0.5, 0.25], 8), ([1.0, 1.0], 5), ([0.01], 30), ([], 5)],
)
def test_as_many_rounds_as_fit_into_the_time(paces, rounds):
    """In six seconds, but at least 5 and at most 30."""
    plan = SimpleNamespace(seconds=6.0, rounds=30)
    found = timing._rounds(plan, [SimpleNamespace(pace=pace) for pace in paces])
    assert found == rounds
