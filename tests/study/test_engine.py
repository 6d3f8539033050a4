"""Cells in real processes: lost ones, and those of another Keras engine."""

import os
import signal

import pytest

from zoo.study import driver, plan
from zoo.study.engine import Failed, Local, Lost, environment
from zoo.study.plan import Column, Entry, Plan

pytestmark = pytest.mark.slow
QUICK = {"batch_sizes": (1, 4), "rounds": 5, "seconds": 0.1, "threads": 1}


class Assassin(Local):
    """Kills one worker of a backend, in the midst of a request."""

    def __init__(self, backend, do):
        super().__init__()
        self.backend, self.do, self.killed = backend, do, 0

    def start(self, job, environment, lane=0):
        worker = super().start(job, environment, lane)
        if job["backend"] != self.backend or self.killed:
            return worker
        ask = worker.ask

        def deadly(do, *args, **kwargs):
            if do == self.do and not self.killed:
                self.killed += 1
                os.kill(worker.pid, signal.SIGKILL)
            return ask(do, *args, **kwargs)

        worker.ask = deadly
        return worker


def test_a_killed_worker_is_replaced(tmp_path):
    columns = plan.columns(["torch", "jax"])
    for do in ("prove", "first", "burst"):
        engine = Assassin("jax", do)
        study_plan = Plan(entries=(Entry("xor_mlp"),), columns=columns, **QUICK)
        study = driver.compare(study_plan, tmp_path / do, engine=engine)
        assert engine.killed == 1
        assert len(study.rows) == 2 + 2 * 4
        assert all(r["status"] == "ok" for r in study.rows)


def test_a_process_tells_errors_and_deaths_apart():
    cell = plan.Cell(Entry("xor_mlp"), Column("torch", "eager"), 0)
    worker = Local().start(plan.job(cell, 1, "cpu"), environment(1, "cpu", {}))
    try:
        worker.ask("begin")
        worker.ask("build")
        worker.ask("first", what="training", batch=2)
        with pytest.raises(Failed, match="batch 3 is not ready"):
            worker.ask("burst", what="training", batch=3, calls=1)
        assert worker.ask("burst", what="training", batch=2, calls=2)["seconds"] > 0
        with pytest.raises(Lost, match=r"no answer to matmul in 0 s"):
            worker.ask("matmul", timeout=1e-6, calls=100)
        with pytest.raises(Lost):
            worker.ask("begin")
    finally:
        worker.close()


def test_keras_on_jax_is_a_column_proven_in_float32(tmp_path):
    entry = Entry("cnn", changes={"widths": (4, 6), "image_size": 8, "pools": 1})
    columns = plan.columns(["torch", "tf:on_jax"])
    study_plan = Plan(entries=(entry,), columns=columns, **QUICK)
    study = driver.compare(study_plan, tmp_path)
    assert all(r["status"] == "ok" for r in study.rows)
    keras = next(r for r in study.rows if r["row"] == "cell" and r["backend"] == "tf")
    assert keras["settings"]["engine"] == "Keras on jax"
    rungs = keras["parity"]["rungs"]
    assert [r["dtype"] for r in rungs] == ["float32"] * 4
    peaks = [r["peak_bytes"] for r in study.rows if r["row"] == "timing"]
    assert max(peaks) < 700 * 2**20  # TensorFlow is not loaded
