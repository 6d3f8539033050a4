"""Rows of metrics as lines of JSON."""

import json
import math

import numpy as np
import pytest

from zoo.errors import FileError
from zoo.training.rows import json_line, plain, read_rows


def test_floats_are_exact_when_read(tmp_path):
    rows = [
        {"split": "train", "step": 1, "loss": 0.1 + 0.2, "lr": 5e-324},
        {"split": "test", "step": 1, "loss": 1 / 3},
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(map(json_line, rows)))
    assert read_rows(path) == rows


def test_numpys_scalars_become_pythons():
    row = plain({"step": np.int64(3), "loss": np.float32(0.5), "ok": np.bool_(True)})
    assert row == {"step": 3, "loss": 0.5, "ok": True}
    assert [type(v) for v in row.values()] == [int, float, bool]


def test_what_json_lacks_goes_as_a_word_and_comes_back(tmp_path):
    path = tmp_path / "metrics.jsonl"
    values = {"a": math.nan, "b": math.inf, "c": np.float32(-np.inf)}
    line = json_line({"split": "train", "step": 1, **values})
    assert json.loads(line) == {
        "split": "train", "step": 1, "a": "NaN", "b": "Infinity", "c": "-Infinity",
    }  # fmt: skip
    path.write_text(line)
    [row] = read_rows(path)
    assert math.isnan(row["a"])
    assert (row["b"], row["c"]) == (math.inf, -math.inf)


def test_dicts_inside_a_row_are_made_plain_too():
    row = plain({"norms": {"fc.weight": np.float64(2), "fc.bias": math.nan}})
    assert row == {"norms": {"fc.weight": 2.0, "fc.bias": "NaN"}}


def test_an_unfinished_last_line_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    line = json_line({"split": "train", "step": 1})
    path.write_text(line + '{"split": "tr')
    assert len(read_rows(path)) == 1
    path.write_text("")
    assert read_rows(path) == []


@pytest.mark.parametrize("wrong", ["{", "[1]", '{"split": "train"}', "3"])
def test_any_other_line_that_is_no_row_is_told(wrong, tmp_path):
    path = tmp_path / "metrics.jsonl"
    line = json_line({"split": "train", "step": 1})
    path.write_text(f"{line}{wrong}\n{line}")
    with pytest.raises(FileError, match="line 2, is no row of metrics"):
        read_rows(path)
