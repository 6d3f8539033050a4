"""A study's folder: continued, refused, damaged, and written by an older zoo."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.study.fakes import Cells, compare, times
from zoo.errors import FileError
from zoo.spec.recipe import Recipe
from zoo.study import driver, plan, results, terminal
from zoo.study.engine import Failed
from zoo.study.plan import Entry, Plan


def test_two_studies_do_not_share_a_folder(tmp_path):
    compare(tmp_path, Cells())
    with pytest.raises(FileError, match="its batch_sizes differ"):
        compare(tmp_path, Cells(), batch_sizes=(2,))
    asked = Cells()
    compare(tmp_path, asked, description="other words")
    assert not asked.asked
    with (
        results.StudyFolder(tmp_path / "study").claimed(),
        pytest.raises(FileError, match="another zoo compare is writing"),
    ):
        compare(tmp_path, Cells())


def test_a_full_disk_keeps_what_is_finished(tmp_path, monkeypatch):
    compare(tmp_path, Cells([("jax", "build", None, Failed("no"))]))
    before = (tmp_path / "study" / "results.jsonl").read_text()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zoo.files.atomic.os.fsync", full)
    with pytest.raises(FileError, match="No space left on device"):
        compare(tmp_path, Cells())
    assert (tmp_path / "study" / "results.jsonl").read_text() == before


def test_the_complete_rows_of_a_file_that_was_cut_off_are_read(tmp_path):
    study = compare(tmp_path, Cells())
    path = tmp_path / "study" / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    rest, notes = results.read(path)
    assert rest.rows == study.rows[:-1]
    assert notes == [f"{path}, line {len(study.rows)} is no row of a study; left out."]
    path.write_text("")
    with pytest.raises(FileError, match="holds no results"):
        results.read(tmp_path / "study")
    assert compare(tmp_path, Cells()).rows == study.rows  # from the cells


def test_a_damaged_cell_is_measured_again(tmp_path):
    compare(tmp_path, Cells())
    victim = sorted((tmp_path / "study" / "cells").iterdir())[0]
    victim.write_text("[{")
    study = compare(tmp_path, Cells())
    heads = [r for r in study.rows if r["row"] == "cell"]
    assert [h["parity"]["ok"] for h in heads] == [True] * 3
    assert [r["verdict"] for r in times(study, "jax")] == ["faster"] * 4


@pytest.fixture
def old(tmp_path):
    """Return a copy of the folder: mlp on breast_cancer in PyTorch and Flax."""
    return Path(shutil.copytree("tests/data/zoo-0.1.0/study", tmp_path / "old"))


def _same_plan(monkeypatch, **changes):
    """Return the plan of the old study, as today's zoo makes it."""
    monkeypatch.setattr("zoo.study.plan.usable_cores", lambda: 2)
    sizes = {"in_features": 30, "hidden": (4,), "num_classes": 2}
    recipe = Recipe(lr=1e-2, epochs=1, batch_size=64)
    fields = {
        "entries": (Entry("mlp", "mlp", sizes, "breast_cancer", recipe),),
        "columns": plan.columns(["torch", "jax"]),
        "batch_sizes": (8,),
        "train": True,
        "threads": 2,
    }
    return Plan(**(fields | changes))


def test_an_old_study_is_read(old):
    study, notes = results.read(old)
    assert not notes
    assert study.label == "study"
    assert study.info["zoo"]["version"] == "0.1.0"
    one_cell = ["cell", "timing", "timing", "training"]
    assert [row["row"] for row in study.rows] == one_cell * 2
    assert results.read(old / "results.jsonl")[0].rows == study.rows
    assert not terminal.problems(study)
    assert len(list(terminal.tables(study))) == 2


def test_an_old_studys_cells_are_read(old):
    folder = results.StudyFolder(old)
    heads = [row for row in results.read(old)[0].rows if row["row"] == "cell"]
    keys = [head["key"] for head in heads]
    for key, head in zip(keys, heads, strict=True):
        assert folder.finished(key)
        assert folder.rows(key)[0] == head
    before = (old / "results.jsonl").read_text()
    folder.collect(keys)
    assert (old / "results.jsonl").read_text() == before


def test_the_report_of_an_old_study(old):
    words = [sys.executable, "-m", "zoo", "report", str(old), "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["report"] == str(old / "report.html")
    text = (old / "report.html").read_text()
    assert text.lower().startswith("<!doctype html>")
    assert "Flax, jit" in text


def test_an_old_study_continues_with_cells_measured_anew(old, monkeypatch):
    """Its plan is today's, but zoo's source has changed since."""
    same, folder = _same_plan(monkeypatch), results.StudyFolder(old)
    info = {"plan": same.to_dict(), "created": "now", "sessions": [{"id": "new"}]}
    info = folder.begin(info, overwrite=False)
    assert info["created"] == "2026-11-28T20:37:28+00:00"
    assert [session["id"] for session in info["sessions"]] == ["2ce046d0", "new"]
    machine = info["sessions"][0]["host"]["id"]
    (group,) = driver.pending(same, folder, machine)
    assert group.wanted == group.cells == same.groups()[0]


def test_an_old_study_is_not_overwritten_by_another(old, monkeypatch):
    before = (old / "study.json").read_text()
    for changes, field in (({"rounds": 6}, "rounds"), ({"seeds": (1,)}, "seeds")):
        other = _same_plan(monkeypatch, **changes)
        info = {"plan": other.to_dict(), "created": "now", "sessions": []}
        with pytest.raises(FileError, match=f"its {field} differ"):
            results.StudyFolder(old).begin(info, overwrite=False)
    assert (old / "study.json").read_text() == before
