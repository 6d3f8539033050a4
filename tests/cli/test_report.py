"""`zoo report`: from folders and files, and of the differences of two."""

import json

import pytest

from tests.cli.invoked import in_process

pytestmark = pytest.mark.slow


def test_report_takes_folders_and_files_and_tells_differences(study, tmp_path):
    _, _, out = study
    page = tmp_path / "page.html"
    for words in (
        [out],
        [out / "results.jsonl"],
        [out, out],
        ["--diff", out, out / "results.jsonl"],
    ):
        done = in_process("report", *words, "--out", page)
        assert done.returncode == 0, done.stderr
        assert page.read_text().lower().startswith("<!doctype html>")
        page.unlink()
    done = in_process("report", tmp_path, "--out", page)
    assert done.returncode == 2
    assert "zoo report takes a folder of zoo compare" in done.stderr
    cut = tmp_path / "results.jsonl"
    cut.write_bytes((out / "results.jsonl").read_bytes()[:-30])
    done = in_process("report", cut, "--out", page, "--json")
    assert "is no row of a study; left out" in done.stderr
    assert json.loads(done.stdout)["report"] == str(page)
