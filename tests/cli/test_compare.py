"""`zoo compare` in real processes: proven, timed, killed, continued."""

import subprocess
import sys
import time

import pytest

import zoo
from tests.cli.invoked import in_process
from zoo.study import results

pytestmark = pytest.mark.slow


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
    done = in_process(*words)
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
    done = in_process("compare", *words, "--out", tmp_path / "x")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()
