"""A cell's process: reads one request per line, writes one answer per line.

A request is {"do": method of Bench, …arguments}; the first, "start", makes the Bench.
An answer is {"ok": …} or {"error": one line}. Arrays go into a file that the answer
names. The process ends as soon as the other end of the pipe is closed.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

FOLDER = "zoo-cell-"  # prefix of a worker's own folder for temporary files


def main() -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints must not be taken for an answer
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    bench = None
    while True:
        request = requests.get()
        do = request.pop("do")
        try:
            if do == "start":
                bench = _start(request)
                answer: dict[str, Any] = {"ok": {"pid": os.getpid()}}
            else:
                answer = {"ok": _packed(getattr(bench, do)(**request))}
        except Exception as error:  # the driver reports it, and runs the other cells
            answer = {"error": one_line(error)}
        _write(answers, answer)


def _start(job: dict[str, Any]) -> Any:
    pin(job["threads"])
    from .bench import Bench  # NumPy counts the cores when it is imported

    return Bench(**job)


def pin(threads: int) -> None:
    """Keep this process on its first `threads` cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _listen(requests: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        requests.put(json.loads(line))
    folder = Path(os.environ.get("TMPDIR", ""))
    if folder.name.startswith(FOLDER):  # this process's own; the driver may be gone
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _write(answers: IO[str], answer: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    except BrokenPipeError:
        os._exit(0)


def _packed(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result as JSON values; of arrays, the name of a file with them."""
    import numpy as np

    if not any(isinstance(v, np.ndarray) for v in result.values()):
        return result
    handle, path = tempfile.mkstemp(suffix=".npz")
    with os.fdopen(handle, "wb") as file:
        np.savez(file, **result)
    return {"arrays": path}


def one_line(error: Exception) -> str:
    """Return an error as one line of text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    name = type(error).__name__
    known = type(error).__module__.startswith("zoo.")
    text = lines[0] if lines else "no message"
    return text if known else f"{name}: {text}"[:300]


if __name__ == "__main__":
    main()
