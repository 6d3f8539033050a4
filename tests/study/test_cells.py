"""One cell's process: lost, and started anew."""

import pytest

from tests.study.fakes import Cells, compare
from zoo.study.cells import failure, retry
from zoo.study.engine import Failed, Lost


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


def test_a_call_that_loses_its_process_is_made_once_more():
    def fails(times, error):
        left = [error] * times

        def call():
            if left:
                raise left.pop()
            return "answer"

        return call

    assert retry(fails(0, Lost("killed"))) == "answer"
    assert retry(fails(1, Lost("killed"))) == "answer"
    with pytest.raises(Lost):
        retry(fails(2, Lost("killed")))
    with pytest.raises(Failed):
        retry(fails(1, Failed("no")))


def test_only_accidents_are_tried_again_in_a_later_session():
    assert failure(Lost("died of SIGSEGV")) == {
        "status": "failed", "error": "died of SIGSEGV", "again": True,
    }  # fmt: skip
    assert not failure(Lost("killed, where memory runs out"))["again"]
    assert not failure(Failed("RuntimeError: no"))["again"]


def test_the_cells_of_a_study_share_their_fields_and_their_session(tmp_path):
    study = compare(tmp_path, Cells())
    heads = [r for r in study.rows if r["row"] == "cell"]
    assert len({head["session"] for head in heads}) == 1
    assert len({head["key"] for head in heads}) == 3
    for head in heads:
        # tiny_mlp: 3 inputs, 4 hidden units, 2 logits
        assert head["macs"] == {"inference": 20, "training": 2 * 20 + 8}
        assert head["config"]["hidden"] == [4]
        assert head["architecture"] == "zoo.configs.mlp:MLPConfig"
