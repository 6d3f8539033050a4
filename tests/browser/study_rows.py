"""Rows of a made-up study with all that a report must be able to show."""

import math

import numpy as np

from zoo.study.intervals import median, paired_ratio, spread, verdict
from zoo.study.results import Study

HOSTILE = "<script>alert(1)</script>"
COLUMNS = (
    ("torch", "eager"),
    ("torch", "compile"),
    ("tf", "function"),
    ("tf", "xla"),
    ("tf", "on_jax"),
    ("jax", "jit"),
)
# Seconds of one example beyond a call's own cost, relative to torch's.
PACE = dict(zip(COLUMNS, (1.0, 0.82, 1.01, 1.4, 1.9, 0.63)))
CALL = dict(zip(COLUMNS, (2e-4, 1.5e-4, 8e-4, 7e-4, 1.1e-3, 9e-5)))
MACS = {"cnn": (7_452_416, 22_131_456), HOSTILE: (1_584_398_336, 4_746_117_120)}
PEAK = 210.0


def study(label="classics", seeds=(0, 1, 2), machine="a1b2c3d4", pace=1.0):
    """Return a study; `pace` makes the machine slower."""
    random = np.random.default_rng(len(label))
    rows, presets = [], list(MACS)
    for preset in presets:
        for seed in seeds:
            base = {}
            for column in COLUMNS:
                broken = preset == HOSTILE and column == ("tf", "xla")
                dead = preset == HOSTILE and column == ("tf", "on_jax")
                common = {
                    "study": label,
                    "preset": preset,
                    "backend": column[0],
                    "mode": column[1],
                    "seed": seed,
                    "machine": machine,
                }
                rows.append(_cell(common, broken, dead, random))
                if broken or dead:
                    continue
                for step in ("inference", "training"):
                    for batch in (1, 32, 256):
                        key = step, batch
                        row = _timing(common, step, batch, pace, base.get(key), random)
                        base.setdefault(key, row.get("seconds"))
                        rows.append(row)
                rows.append(_training(common, pace, random))
    return Study(_info(label, presets, seeds), rows, label)


def _rungs(common, broken, random):
    rungs = []
    for dtype, tolerance, error in (
        ("float64", 1e-10, 2e-15),
        ("float32", 4e-5, 3e-7),
    ):
        for name in ("forward", "loss", "update", "buffers"):
            wrong = broken and name == "update"
            off = 3.1e-4 if wrong else error * 10 ** random.uniform(-1, 1.5)
            if common["mode"] == "eager" and dtype == "float64":
                off = 0.0
            rungs.append(
                {
                    "name": name,
                    "dtype": dtype,
                    "error": off,
                    "tolerance": tolerance,
                    "ok": not wrong,
                    "where": "" if name in ("forward", "loss") else "conv1.weight",
                }
            )
    return rungs


def _cell(common, broken, dead, random):
    row = {
        "row": "cell",
        **common,
        "batch_size": None,
        "key": "00ff" * 16,
        "status": "ok",
        "error": None,
        "architecture": "zoo.configs.cnn:CNNConfig",
        "config": {"widths": [32, 64, 128]},
        "data": "digits",
        "threads": 2,
        "parity": {
            "reference": "torch:eager",
            "ok": not broken,
            "inputs_seed": 0,
            "rungs": _rungs(common, broken, random),
        },
        "import_s": 2.9 + random.random(),
        "build_s": 0.04,
        "parameters": 93_322,
        "file_bytes": 380_221,
        "matmul_gflops": PEAK * random.uniform(0.93, 1.0),
        "macs": dict(zip(("inference", "training"), MACS[common["preset"]])),
        "settings": {
            "framework": common["backend"],
            "threads": 2,
            "matmul precision": "highest",
            "TF32": "off",
            "deterministic": "off",
            "device": "cpu",
        },
        "versions": {"torch": "2.13.0", "tensorflow": "2.21.0", "jax": "0.10.2"},
        "host": {
            "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
            "processor": "Some Processor <2.5 GHz>",
            "cores": 2,
            "memory_gb": 7.7,
            "python": "3.11.2",
        },
        "started": "2026-11-21T14:00:00+00:00",
        "session": "beef0001",
    }
    if broken:
        row["status"] = "differs"
        row["error"] = (
            "not the same network: update in float64 is 3.1e-04 of scale off at"
            " conv1.weight; 1.0e-10 is allowed"
        )
    if dead:
        row["status"] = "failed"
        row["error"] = f"killed (SIGKILL), as the system does {HOSTILE}"
        row["parity"] = None
    return row


def _timing(common, step, batch, pace, base, random):
    column = common["backend"], common["mode"]
    row = {"row": "timing", **common, "batch_size": batch, "what": step}
    if column == ("tf", "on_jax") and batch == 256:
        error = "ResourceExhaustedError: out of memory"
        return row | {"status": "failed", "error": error}
    macs = MACS[common["preset"]][step == "training"]
    once = CALL[column] * (3 if step == "training" else 1)
    once += PACE[column] * 2 * macs * batch / (PEAK * 0.8e9)
    drift = np.random.default_rng(batch).uniform(0.95, 1.15, 12)
    noise = random.uniform(0.97, 1.05, 12)
    seconds = (pace * once * drift * noise).tolist()
    time = median(seconds)
    ratio = paired_ratio(seconds, base or seconds)
    gflops = 2 * macs * batch / time.value / 1e9
    return row | {
        "status": "ok",
        "error": None,
        "first_s": 9.3 if "compile" in column else 0.4 + once,
        "peak_bytes": int(3.1e8 + 1.4e5 * batch * PACE[column] * 6),
        "seconds": seconds,
        "calls": 5,
        "median_s": time.value,
        "low_s": time.low,
        "high_s": time.high,
        "spread_s": spread(seconds),
        "examples_per_s": batch / time.value,
        "gflops": gflops,
        "share": gflops / PEAK,
        "baseline": {"backend": "torch", "mode": "eager"},
        "baseline_seconds": base or seconds,
        "ratio": ratio.value,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "verdict": "baseline" if base is None else verdict(ratio),
    }


def _training(common, pace, random):
    column = common["backend"], common["mode"]
    same = np.random.default_rng(common["seed"])
    steps = np.arange(1, 401)
    losses = 2.3 * np.exp(-steps / 90) + 0.05 + 0.08 * same.random(400)
    spent = 20 * PACE[column] * pace
    evaluations = [
        {
            "step": int(s),
            "seconds": spent * s / 400 + 1,
            "loss": 0.3,
            "accuracy": 0.985 - 0.6 * math.exp(-s / 70) + 0.004 * same.random(),
        }
        for s in range(40, 401, 40)
    ]
    late = [row["seconds"] for row in evaluations if row["accuracy"] >= 0.95]
    return {
        "row": "training",
        **common,
        "batch_size": 64,
        "recipe": {"optimizer": "adam"},
        "data": "digits",
        "losses": losses.tolist(),
        "evaluations": evaluations,
        "seconds": spent,
        "gradient_norms": {f"layers.{i}.weight": 10.0 ** (i - 8) for i in range(8)},
        "measure": "accuracy",
        "accuracy": evaluations[-1]["accuracy"] + 0.002 * random.random(),
        "target": 0.95,
        "seconds_to_target": late[0] if late else None,
        "status": "ok",
        "error": None,
    }


def _info(label, presets, seeds):
    return {
        "format": 1,
        "name": label,
        "description": "One network per family, in every framework and mode.",
        "command": f"zoo compare cnn '{HOSTILE}' --backends torch:all,tf:all,jax",
        "created": "2026-11-21T14:00:00+00:00",
        "plan": {
            "entries": [{"preset": p, "label": p} for p in presets],
            "columns": [list(c) for c in COLUMNS],
            "batch_sizes": [1, 32, 256],
            "seeds": list(seeds),
            "rounds": 12,
            "threads": 2,
        },
        "zoo": {"version": "0.1.0", "source": "0123456789abcdef"},
        "versions": {"numpy": "2.2.0"},
        "sessions": [
            {"id": "beef0001", "started": "2026-11-21T14:00:00+00:00", "load": 0.4}
        ],
    }
