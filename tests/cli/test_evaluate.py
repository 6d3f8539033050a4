"""`zoo evaluate`: the figures that the run itself measured."""

import pytest

from tests.cli.invoked import fails, loads, run
from tests.cli.runs import STEPS, TINY
from zoo.training.folder import RunFolder


def test_evaluate_is_what_the_run_measured(trained):
    folder, _ = trained
    rows = [row for row in RunFolder(folder).rows() if row["split"] == "test"]
    for backend in ("torch", "jax"):
        found = loads("evaluate", folder, "--backend", backend)
        assert (found["backend"], found["step"]) == (backend, STEPS)
        assert found["examples"] == 359
        for name in ("loss", "accuracy"):
            assert found[name] == pytest.approx(rows[-1][name], rel=1e-10)
    best = loads("evaluate", folder, "--best")
    assert best["step"] == RunFolder(folder).best()["step"]
    early = loads("evaluate", folder, "--step", 4)
    assert early["loss"] > found["loss"]
    assert "it has: 4, 8, 12" in fails("evaluate", folder, "--step", 5)
    saved = RunFolder(folder).at(4) / "model.safetensors"
    assert "--data must say" in fails("evaluate", saved)
    # the split is the seed's: of a file nobody knows it
    again = loads("evaluate", saved, "--data", "digits")
    assert again["loss"] == pytest.approx(early["loss"], rel=0.1)


def test_evaluate_takes_the_moving_average(tmp_path):
    folder = tmp_path / "run"
    run("train", *TINY, "--steps", 9, "--ema", 0.9, "--out", folder)
    row = RunFolder(folder).rows()[-1]
    assert loads("evaluate", folder)["loss"] == pytest.approx(row["loss"], rel=1e-12)
