"""Start-up: imports, `zoo list`, and building and converting ResNet-50.

The first two are CPU times of entire processes. The others run in fresh processes, in
which the frameworks are imported (and the model to convert is built) before the clock
starts. Their peer is the same class with the framework's own initialisation.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from .fresh import ChildError, cpu_seconds, run_module
from .paired import in_turn
from .report import Row
from .speed import SUFFIX

PRESET = "resnet50"
BUILD_LIMIT, CONVERT_LIMIT = 1.3, 1.2


def cpu_rows(quick: bool) -> Iterator[Row]:
    """CPU time of `import zoo` and `zoo list`; the peer is an idle Python."""
    python = sys.executable
    script = Path(sysconfig.get_path("scripts"), "zoo")
    zoo = [str(script)] if script.exists() else [python, "-m", "zoo"]
    nothing = [python, "-c", "pass"]
    for name, limit, command in (
        ("import zoo", 60, [python, "-c", "import zoo"]),
        ("zoo list", 150, [*zoo, "list"]),
    ):
        row: dict[str, Any] = {
            "name": name,
            "backend": "",
            "what": "CPU",
            "peer": "python -c pass",
            "limit": limit,
            "measure": "ms",
        }
        try:
            cpu_seconds(command)  # compiles the byte code
            times = in_turn(
                partial(cpu_seconds, command),
                partial(cpu_seconds, nothing),
                pairs=3 if quick else 21,
            )
            yield Row.of(times, **row)
        except ChildError as error:
            yield Row(**row, error=str(error))


def model_rows(source: str | None, backend: str, quick: bool) -> list[Row]:
    """Time `build`, or `convert` from another backend; the peer has init="native"."""
    row: dict[str, Any] = {
        "name": PRESET,
        "backend": backend,
        "what": f"from {source}" if source else "build",
        "peer": "init=native",
        "limit": CONVERT_LIMIT if source else BUILD_LIMIT,
        "measure": "ratio",
    }
    child = partial(run_module, "startup", backend)
    given = [source] if source else []
    try:
        times = in_turn(
            partial(child, "zoo", *given),
            partial(child, "native", *given),
            pairs=1 if quick else 5,
        )
    except ChildError as error:
        return [Row(**row, error=str(error))]
    return [Row.of(times, **row)]


def timed(backend: str, how: str, source: str | None = None) -> float:
    """Return the seconds to build or convert, in this process, once."""
    import zoo

    calls = import_module(f"{__package__}.calls_{SUFFIX[backend]}")
    import_module(zoo.config(PRESET).twin(backend)[0])
    model = zoo.build(PRESET, backend=source) if source else None
    start = perf_counter()
    if how == "native":
        made = zoo.build(PRESET, backend=backend, init="native")
    elif model is None:
        made = zoo.build(PRESET, backend=backend)
    else:
        made = zoo.convert(model, backend)
    calls.wait(made)
    return perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(timed(*sys.argv[1:])))
