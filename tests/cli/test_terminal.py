"""Frameworks are loaded quietly; one that is missing is told in one line."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.cli.invoked import process


@pytest.mark.slow
def test_check_in_a_process_keeps_stderr_clean():
    args = ["check", "tiny_mlp", "--json"]
    done = process(*args, env={k: v for k, v in os.environ.items() if k[:3] != "TF_"})
    assert json.loads(done.stdout)["ok"] is True
    assert done.stderr == ""


WALL = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Wall())
from zoo.cli import main
main(sys.argv[1:], prog_name="zoo")
"""


@pytest.mark.parametrize(
    "blocked, counted",
    [(["torch"], 26), (["torch", "tensorflow", "keras", "jax"], None)],
)
def test_a_missing_framework_is_told_in_one_line(blocked, counted):
    child = [sys.executable, "-c", WALL.format(blocked=blocked)]
    args = ["check", "tiny_mlp", "--backend", "torch", "--backend", "jax"]
    done = subprocess.run([*child, *args], capture_output=True, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"zoo: .*pip install '\.\[all\]'\.\n", done.stderr)
    args = ["info", "tiny_mlp", "--json"]
    done = subprocess.run([*child, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"] == counted
