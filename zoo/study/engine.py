"""Where cells run: an engine starts workers, and a worker answers requests.

The local engine starts a process for each cell. So a crash is only a return code, a
cell is not affected by what another one loaded or allocated, and its peak memory is
its own.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .machine import host
from .worker import FOLDER

TIMEOUT = 1800.0  # seconds for any answer but that of a training run


class Lost(Exception):
    """A worker died, or does not answer any more; the message says how."""


class Moved(Exception):
    """The machine of a group is gone: all its cells must begin anew on another."""


class Failed(Exception):
    """A worker answered with an error; its process is still alive."""


class Worker(Protocol):
    """A cell's process; `alive` until it is lost or closed."""

    alive: bool

    def ask(
        self, do: str, timeout: float | None = TIMEOUT, **arguments: Any
    ) -> dict[str, Any]:
        """Return the result of a method of Bench; raises Lost and Failed."""
        ...

    def close(self) -> None:
        """End the process."""
        ...


class Engine(Protocol):
    """Starts workers; a lane is `held` while one group is measured on it."""

    lanes: int  # groups of cells that can be timed at once: one per machine
    machine: str  # part of a cell's address: other machines have other results

    def start(
        self, job: Mapping[str, Any], environment: Mapping[str, str], lane: int = 0
    ) -> Worker: ...
    def held(self, lane: int) -> AbstractContextManager[None]: ...
    def close(self) -> None: ...


def environment(threads: int, device: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of a cell: the same for all, and its mode's."""
    count = str(threads)
    # Keras and Flax would take an accelerator unasked, and PyTorch would not.
    hidden = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    return {
        **(hidden if device == "cpu" else {}),
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # cells share an accelerator
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "KERAS_BACKEND": "tensorflow",
        "PYTHONWARNINGS": "ignore",
        **extra,
    }


def python_path() -> str:
    """Return a PYTHONPATH on which this zoo comes first."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])


class Local:
    """The engine for one machine: a subprocess per cell."""

    lanes = 1

    def __init__(self) -> None:
        self.machine = host()["id"]

    def start(
        self, job: Mapping[str, Any], environment: Mapping[str, str], lane: int = 0
    ) -> Worker:
        """Start a process and make its Bench."""
        try:
            worker = Process(environment)
        except OSError as error:  # no memory for a process, no room in /tmp
            raise Lost(f"cannot start a process: {error.strerror or error}") from None
        try:
            worker.ask("start", **job)
        except BaseException:
            worker.close()
            raise
        return worker

    def held(self, lane: int) -> AbstractContextManager[None]:
        """Do nothing: only one group at a time is measured on this machine."""
        return nullcontext()

    def close(self) -> None:
        """Do nothing: no process outlives its group."""


class Process:
    """A worker in a subprocess, asked through its pipes."""

    alive = True

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=FOLDER)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._child = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # Ctrl-C is the driver's
            env={
                **os.environ,
                **environment,
                "PYTHONPATH": python_path(),
                "TMPDIR": self._folder.name,
            },
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._child.pid

    def ask(
        self, do: str, timeout: float | None = TIMEOUT, **arguments: Any
    ) -> dict[str, Any]:
        """Return the result of a method of Bench; raises Lost and Failed."""
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            stdin.flush()
        except (BrokenPipeError, ValueError):
            raise Lost(self._death()) from None
        ready, _, _ = select.select([stdout], [], [], timeout)
        if not ready:
            self.close()
            raise Lost(f"no answer to {do} in {timeout:.0f} s")
        line = stdout.readline()
        if not line.endswith("\n"):
            raise Lost(self._death())
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        result = answer["ok"]
        if isinstance(result, dict) and "arrays" in result:
            with np.load(result["arrays"], allow_pickle=False) as arrays:
                return dict(arrays)
        return result

    def _death(self) -> str:
        self.alive = False
        code = self._child.wait()
        if code == -signal.SIGKILL:
            return "killed (SIGKILL), as the system does where memory runs out"
        if code < 0:
            return f"died of {signal.Signals(-code).name}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"ended with exit code {code}: {lines[-1] if lines else 'no message'}"

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.alive = False
        with suppress(ProcessLookupError):  # with the processes that it started
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            try:
                pipe.close()  # pyrefly: ignore[missing-attribute]
            except BrokenPipeError:
                continue  # it had not read its last request
        self._errors.close()
        self._folder.cleanup()
