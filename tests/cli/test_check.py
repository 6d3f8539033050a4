"""`zoo check`: what it prints, and with which exit code."""

import pytest

from tests.cli.invoked import loads, run


def test_check_passes():
    result = run("check", "xor_mlp", "lenet5", "--small")
    assert "xor_mlp (small)" in result.stdout
    assert result.stdout.count("torch = tf = jax: the same model") == 2
    assert "2 of 2 proven the same" in result.stdout
    assert "\x1b" not in result.stdout


def test_check_json_and_options():
    args = ["tiny_mlp", "--backend", "pytorch", "--backend", "jax", "--seed", 3]
    found = loads("check", *args, "--batch", 5, "--set", "num_classes=4")
    assert found["ok"] is True
    (report,) = found["reports"]
    assert report["backends"] == ["torch", "jax"]
    assert report["parameters"] == 3 * 4 + 4 + 4 * 4 + 4
    assert {r["name"] for r in report["rungs"]} >= {"names", "forward", "gradients"}


def test_a_failed_check_is_exit_code_1(monkeypatch):
    torch_mlp = pytest.importorskip("zoo.torch.mlp")
    forward = torch_mlp.MLP.forward
    monkeypatch.setattr(torch_mlp.MLP, "forward", lambda self, x: forward(self, x) + 1)
    args = ["check", "tiny_mlp", "--backend", "torch", "--backend", "jax"]
    result = run(*args, code=1)
    assert "FAIL" in result.stdout
    assert "first divergence: forward in float64" in result.stdout
    assert loads(*args, code=1)["ok"] is False


def test_check_takes_patterns():
    result = run("check", "tiny_*", "--backend", "torch", "--backend", "jax")
    assert "tiny_mlp" in result.stdout
