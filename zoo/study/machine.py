"""Where a study is run, and with what: the machine, and zoo's own source."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

# Parts of zoo by what a change in them does. Each package and each module of the root
# stands in one of the two; a change in a measured part changes a cell's address.
MEASURED = (
    "backend", "configs", "data", "errors", "files", "jax", "models", "parity",
    "registry", "spec", "study", "tf", "torch", "training", "version",
)  # fmt: skip
SHOWN = (
    "__init__", "__main__", "cli", "explain", "inference", "learn", "moved", "source",
)  # fmt: skip
# Within measured packages, what shows results only.
_SHOWS = ("parity/demo", "study/report/", "study/terminal", "training/plots")


@cache
def host() -> dict[str, Any]:
    """Return what the machine is; `id` tells it from others."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found: dict[str, Any] = {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(pages / 2**30, 1),
        "python": platform.python_version(),
    }
    words = json.dumps([platform.node(), found], sort_keys=True)
    return {"id": hashlib.sha256(words.encode()).hexdigest()[:8], **found}


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.processor()


@cache
def source() -> str:
    """Return a hash of zoo's own code, as far as it measures or is measured."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        part = name.partition("/")[0].removesuffix(".py")
        if part in MEASURED and not name.startswith(_SHOWS):
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
