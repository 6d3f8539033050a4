"""An engine without processes: its cells answer from a script."""

import contextlib
import threading

import numpy as np

from zoo.study import driver
from zoo.study.engine import Lost
from zoo.study.plan import Entry, Plan

TINY = Entry("tiny_mlp")


def computed(noise=0.0, seed=0):
    """Return arrays such as `Bench.prove` returns, with some rounding."""
    random = np.random.default_rng(seed)
    arrays = {
        "forward": random.normal(size=(8, 3)),
        "loss": np.float64(1.5),
        "update/a.weight": random.normal(size=(4, 4)),
        "buffers/n.running_mean": random.normal(size=4),
    }
    rounding = np.random.default_rng(9)
    return {k: v + noise * rounding.normal(size=np.shape(v)) for k, v in arrays.items()}


class Cells:
    """The engine: `asked` lists all requests, `alive` counts open workers.

    `spoilt` is a backend that computes something else.
    """

    lanes, machine = 1, "this machine"

    def __init__(self, faults=()):
        self.faults = list(faults)  # (backend, do, batch or None, error), each once
        self.asked, self.alive = [], 0
        self.spoilt = None
        self.lock = threading.Lock()

    def held(self, lane):
        return contextlib.nullcontext()

    def start(self, job, environment, lane=0):
        self.alive += 1
        return Fake(self, job)

    def close(self):
        pass


class Fake:
    """A worker that answers from a script, or raises one of the engine's faults."""

    alive = True

    def __init__(self, engine, job):
        self.engine, self.backend = engine, job["backend"]

    def ask(self, do, timeout=None, **arguments):
        engine = self.engine
        with engine.lock:
            engine.asked.append((self.backend, do, arguments))
            for fault in engine.faults:
                backend, request, batch, error = fault
                if (backend, request) == (self.backend, do) and batch in (
                    None,
                    arguments.get("batch"),
                ):
                    engine.faults.remove(fault)
                    self.alive = not isinstance(error, Lost)
                    raise error
        pace = {"torch": 1.0, "tf": 2.0, "jax": 0.5}[self.backend]
        if do == "prove":
            spoilt = engine.spoilt == self.backend
            return computed(1e-7 * (arguments["dtype"] == "float32"), spoilt)
        return {
            "begin": {
                "import_s": 1.0,
                "settings": {},
                "host": {"id": "abc", "cores": 2},
            },
            "build": {"build_s": 0.1, "parameters": 22},
            "file": {"file_bytes": 300},
            "matmul": {"gflops": 100.0},
            "first": {"first_s": 1.0, "call_s": 0.01 * pace, "peak_bytes": 2**28},
            "burst": {"seconds": 0.01 * pace * (1 + 0.01 * len(engine.asked) % 0.02)},
        }[do]

    def close(self):
        self.engine.alive -= 1


def compare(tmp_path, engine, **changes):
    """Run a study of one tiny network in three columns."""
    plan = Plan(entries=(TINY,), **{"batch_sizes": (1, 8), "rounds": 6, **changes})
    return driver.compare(plan, tmp_path / "study", engine=engine)


def times(study, backend):
    """Return the timing rows of a backend."""
    rows = [r for r in study.rows if r["row"] == "timing"]
    return [r for r in rows if r["backend"] == backend]
