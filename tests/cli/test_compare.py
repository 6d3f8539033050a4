"""Studies in real processes: proven, timed, killed, continued."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import zoo
from zoo.study import driver, plan, results
from zoo.study.engine import Failed, Local, Lost, environment
from zoo.study.plan import Column, Entry, Plan

pytestmark = pytest.mark.slow
QUICK = {"batch_sizes": (1, 4), "rounds": 5, "seconds": 0.1, "threads": 1}


def _zoo(*words, **options):
    command = [sys.executable, "-m", "zoo", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a small study of every backend, with its folder; trained, too."""
    out = tmp_path_factory.mktemp("compare") / "study"
    done = _zoo(
        "compare", "cnn", "--set", "widths=[4,6]", "--set", "image_size=8", "--set",
        "pools=1", "--batch-sizes", "1,4", "--threads", 1, "--data", "digits",
        "--train", "--steps", 12, "--evaluate-every", 6, "--target", 0.05, "--out", out,
    )  # fmt: skip
    return done, results.read(out)[0], out


def test_the_command_leaves_a_study(study):
    done, measured, out = study
    assert done.returncode == 0, done.stderr
    assert f"report: {out}/report.html" in done.stdout
    assert "3 of 3 cells are proven the same network" in done.stdout
    heads = [r for r in measured.rows if r["row"] == "cell"]
    assert [r["backend"] for r in heads] == ["torch", "tf", "jax"]
    for row in heads:
        rungs = {(r["name"], r["dtype"]) for r in row["parity"]["rungs"]}
        assert len(rungs) == 8  # there are batch norm's buffers, too
        assert row["import_s"] > 0.05
        assert row["build_s"] > 0
        assert row["file_bytes"] > 1000
        assert row["matmul_gflops"] > 1
        assert row["settings"]["threads"] == 1
        assert row["host"]["cores"] >= 1
        assert row["parameters"] == zoo.count_parameters(
            zoo.build("cnn", widths=(4, 6), image_size=8, pools=1)
        )
    timings = [r for r in measured.rows if r["row"] == "timing"]
    assert len(timings) == 3 * 2 * 2
    for row in timings:
        assert row["status"] == "ok"
        assert len(row["seconds"]) >= 5
        assert row["low_s"] <= row["median_s"] <= row["high_s"]
        assert row["first_s"] > 0
        assert 50 * 2**20 < row["peak_bytes"] < 4 * 2**30
        assert 0 < row["share"] < 1
    assert measured.info["command"].startswith("zoo compare cnn --set 'widths=[4,6]'")
    assert (out / "report.html").read_text().lower().startswith("<!doctype html>")


def test_the_trained_runs_are_one_run(study):
    _, measured, _ = study
    runs = {r["backend"]: r for r in measured.rows if r["row"] == "training"}
    losses = [runs[b]["losses"] for b in ("torch", "tf", "jax")]
    assert len(losses[0]) == 12
    for other in losses[1:]:
        assert other == pytest.approx(losses[0], abs=1e-3)
    for run in runs.values():
        assert [e["step"] for e in run["evaluations"]] == [6, 12]
        assert run["accuracy"] == run["evaluations"][-1]["accuracy"]
        assert run["seconds_to_target"] == run["evaluations"][0]["seconds"]
        assert set(run["gradient_norms"]) >= {"convs.0.weight", "convs.1.weight"}


def test_a_killed_driver_goes_on_where_it_was(tmp_path):
    out = tmp_path / "study"
    words = [
        "compare", "xor_mlp", "perceptron", "--backends", "torch,jax",
        "--batch-sizes", "2", "--threads", "1", "--out", str(out),
    ]  # fmt: skip
    driving = subprocess.Popen(
        [sys.executable, "-m", "zoo", *words], stderr=subprocess.DEVNULL
    )
    for _ in range(1200):
        if len(list((out / "cells").glob("*.json"))) >= 2:  # the first network's
            break
        time.sleep(0.1)
    children = _children(driving.pid)
    for _ in range(200):  # the second network's proof
        children = children or _children(driving.pid)
        time.sleep(0.05)
        if children:
            break
    driving.kill()
    driving.wait()
    first = {p: p.stat().st_mtime_ns for p in (out / "cells").glob("*.json")}
    assert len(first) == 2
    for _ in range(100):  # workers end when nobody asks any more
        if not any(map(_lives, children)):
            break
        time.sleep(0.1)
    assert children
    assert not any(map(_lives, children))
    done = _zoo(*words)
    assert done.returncode == 0, done.stderr
    assert all(p.stat().st_mtime_ns == at for p, at in first.items())
    measured = results.read(out)[0]
    assert [r["preset"] for r in measured.rows if r["row"] == "cell"] == [
        "xor_mlp", "xor_mlp", "perceptron", "perceptron",
    ]  # fmt: skip
    assert len(measured.info["sessions"]) == 2


def _children(pid):
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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


@pytest.mark.parametrize(
    "words, message",
    [
        (["resnet81"], "Did you mean 'resnet18'"),
        (["unet", "--backends", "torhc"], "unknown backend"),
        (["unet", "--backends", "torch:fast"], "mode of torch"),
        (["unet", "--batch-sizes", "1,x"], "--batch-sizes wants integers"),
        (["unet", "--train"], "--train needs the run's length"),
        (["studies/quick.toml", "--data", "digits"], "leave out data"),
        (["nothing.toml"], "cannot read nothing.toml"),
        (["unet", "--address", "x"], "add --engine ray"),
    ],
)
def test_bad_input_is_one_line(words, message, tmp_path):
    done = _zoo("compare", *words, "--out", tmp_path / "x")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_report_takes_folders_and_files_and_tells_differences(study, tmp_path):
    _, _, out = study
    page = tmp_path / "page.html"
    for words in (
        [out],
        [out / "results.jsonl"],
        [out, out],
        ["--diff", out, out / "results.jsonl"],
    ):
        done = _zoo("report", *words, "--out", page)
        assert done.returncode == 0, done.stderr
        assert page.read_text().lower().startswith("<!doctype html>")
        page.unlink()
    done = _zoo("report", tmp_path, "--out", page)
    assert done.returncode == 2
    assert "zoo report takes a folder of zoo compare" in done.stderr
    cut = tmp_path / "results.jsonl"
    cut.write_bytes((out / "results.jsonl").read_bytes()[:-30])
    done = _zoo("report", cut, "--out", page, "--json")
    assert "is no row of a study; left out" in done.stderr
    assert json.loads(done.stdout)["report"] == str(page)


def test_bench_times_and_profiles(tmp_path):
    done = _zoo(
        "bench", "lenet5", "--backends", "torch", "--batch-sizes", "2", "--threads", 1,
        "--profile", tmp_path / "traces", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [r["row"] for r in result["rows"]] == ["cell", "timing", "timing"]
    (profile,) = result["profiles"]
    assert any("conv" in o["operator"] for o in profile["operators"])
    assert list((tmp_path / "traces" / "lenet5-torch-eager").rglob("*.json*"))
