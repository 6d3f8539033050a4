"""Groups of cells: failed ones are tried again, the others are kept."""

from tests.study.fakes import Cells, compare, times
from zoo.study import results
from zoo.study.engine import Failed, Lost, Moved


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
