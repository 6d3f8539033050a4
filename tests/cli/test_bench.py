"""`zoo bench`: times and profiles on the terminal."""

import json

import pytest

from tests.cli.invoked import in_process

pytestmark = pytest.mark.slow


def test_bench_times_and_profiles(tmp_path):
    done = in_process(
        "bench", "lenet5", "--backends", "torch", "--batch-sizes", "2", "--threads", 1,
        "--profile", tmp_path / "traces", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [r["row"] for r in result["rows"]] == ["cell", "timing", "timing"]
    (profile,) = result["profiles"]
    assert any("conv" in o["operator"] for o in profile["operators"])
    assert list((tmp_path / "traces" / "lenet5-torch-eager").rglob("*.json*"))
