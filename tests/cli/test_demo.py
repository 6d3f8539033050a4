"""`zoo demo`: a table and a verdict, as text and as JSON."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import zoo
from tests.parity.exhibits import TWO, a_report
from zoo.cli import main
from zoo.data import scikit
from zoo.parity import demo
from zoo.registry import BACKENDS

NEXT = re.compile(r"\d+ s in all\. Next: zoo ")


def test_the_command_prints_a_table_and_a_verdict(monkeypatch):
    monkeypatch.setattr(demo, "EXHIBITS", TWO)
    args = ["demo", "--small", "--backend", "torch", "--backend", "jax"]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["network", "compared", "PyTorch", "Flax"]
    assert re.search(r"float64 gradient +reference +\d\.\de-1\d", result.stdout)
    assert "All 2 networks are the same in PyTorch and Flax" in result.stdout
    assert NEXT.match(lines[-1])
    assert result.stderr == "[1/2] mnist_mlp\n[2/2] row_lstm\n"
    assert "\x1b" not in result.output


def test_a_difference_is_told(monkeypatch):
    reports = iter([a_report(1e-15), a_report(2e-3)])
    monkeypatch.setattr(demo, "check", lambda *a, **k: next(reports))
    monkeypatch.setattr(demo, "EXHIBITS", TWO)
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 1
    assert "FAIL 2.0e-03" in result.stdout
    assert "row_lstm: first divergence: forward in float64, tf, at bn1" in result.stdout
    assert "Not the same in PyTorch, Keras and Flax: row_lstm." in result.stdout


def test_json(monkeypatch):
    monkeypatch.setattr(demo, "check", lambda *a, **k: a_report(1e-15))
    monkeypatch.setattr(demo, "EXHIBITS", TWO)
    result = CliRunner().invoke(main, ["demo", "--json"])
    found = json.loads(result.stdout)
    assert found["ok"] is True
    assert found["verdict"].startswith("All 2 networks are the same")
    assert [row["preset"] for row in found["rows"]] == ["mnist_mlp", "row_lstm"]
    assert found["rows"][0]["data"] == "digits as 784 numbers"
    assert found["rows"][0]["report"]["parameters"] == 7


def test_without_the_data_extra_it_says_so(monkeypatch):
    scikit.photographs.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    result = CliRunner().invoke(main, ["demo"])
    scikit.digits.cache_clear()
    assert result.exit_code == 2
    assert re.fullmatch(r"zoo: [^\n]+'\.\[data\]'\.\n", result.stderr)


@pytest.mark.slow
def test_in_a_process():
    code = (
        "from zoo.parity import demo; from zoo.cli import main\n"
        "demo.EXHIBITS = demo.EXHIBITS[:1]\n"
        "main(['demo', '--small', '--json'], prog_name='zoo')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(zoo.__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is True
    assert found["rows"][0]["report"]["backends"] == list(BACKENDS)
    assert done.stderr == "[1/1] mnist_mlp\n"
