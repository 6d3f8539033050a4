"""Fresh processes: the JSON that they print, and the CPU time that they take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class ChildError(RuntimeError):
    """A child process failed; the message is the last line it wrote."""


def run_module(module: str, *arguments: str) -> Any:
    """Run `python -m benchmarks.MODULE`; return the JSON in its last line."""
    command = [sys.executable, "-m", f"{__package__}.{module}", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    if done.returncode:
        raise ChildError(_last_line(done.stderr) or f"exit code {done.returncode}")
    return json.loads(_last_line(done.stdout))


def cpu_seconds(command: Sequence[str]) -> float:
    """Return the user and system CPU time that a command takes."""
    child = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stderr is not None
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise ChildError(_last_line(errors.decode()))
    return usage.ru_utime + usage.ru_stime


def environment() -> dict[str, str]:
    """Return the environment of children: Keras on TensorFlow, few log messages."""
    return {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
