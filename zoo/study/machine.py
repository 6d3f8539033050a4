"""The machine that a study runs on, and a hash of zoo's own source."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

# Each package and each module of zoo's root is in one of these two lists: MEASURED if
# results depend on it, SHOWN if it only presents them. When a file of a measured part
# changes, so do the addresses of cells: finished ones are measured again.
MEASURED = (
    "backend", "configs", "data", "errors", "files", "jax", "models", "parity",
    "registry", "spec", "study", "tf", "torch", "training", "version",
)  # fmt: skip
SHOWN = (
    "__init__", "__main__", "cli", "explain", "inference", "learn", "moved", "source",
)  # fmt: skip
# Files and folders of measured packages that only show results.
SHOWN_WITHIN = (
    "parity/demo.py", "study/report/", "study/terminal.py", "training/plots.py",
)  # fmt: skip


@cache
def host() -> dict[str, Any]:
    """Return the machine's hardware and system; `id` is a hash of them."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    facts: dict[str, Any] = {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(pages / 2**30, 1),
        "python": platform.python_version(),
    }
    text = json.dumps([platform.node(), facts], sort_keys=True)
    return {"id": hashlib.sha256(text.encode()).hexdigest()[:8], **facts}


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
    """Return the hash of zoo's own code, as far as measurements depend on it."""
    return hash_source(Path(__file__).parents[1])


def hash_source(root: Path) -> str:
    """Return the hash of the measured parts of a copy of zoo, given its package."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        part = name.partition("/")[0].removesuffix(".py")
        if part in MEASURED and not name.startswith(SHOWN_WITHIN):
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
