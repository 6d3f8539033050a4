"""`make proof`: runs the whole training proof, writes docs/proof.json and its page.

    python -m parity_tests.proof [--quick]

float64: the worst error of any loss, weight, buffer and optimizer slot, relative to its
scale. It covers optimizer x schedule x clipping x model over 200 steps, and every kind
of model over 50. Each run is also resumed half-way in every other backend.
float32: how far the losses drift apart, which is a measurement, not a test.
Real data: what a few networks learn.
"""

import datetime
import json
import platform
import sys
from itertools import combinations
from pathlib import Path

import numpy as np

import zoo
from parity_tests.learning import TASKS, bigram_entropy
from parity_tests.matrix import CELLS, MODELS, STEPS
from tests.representatives import REPRESENTATIVES
from zoo.files.atomic import atomically
from zoo.parity import trajectory
from zoo.registry import BACKENDS, TITLES
from zoo.spec.recipe import Recipe
from zoo.training import plots
from zoo.version import versions

DOCS = Path(__file__).parent.parent / "docs"
MARKS = (10, 50, 200)
DRIFT = {
    "mlp": MODELS["mlp"],
    "cnn, ReLU": MODELS["cnn"],
    "cnn, SiLU": MODELS["cnn"].override(activation="silu"),
    **{
        name: zoo.config(name).small()
        for name in ("lstm", "transformer_encoder", "gpt", "vit", "resnet18", "unet_bn")
    },
}


def figures(report):
    """Return {rung: worst error} of a report, and whether all is well."""
    names = dict.fromkeys(
        r.name for r in report.rungs if r.name in trajectory.TRAINING_RUNGS
    )
    result = {name: report.worst(name, "float64") for name in names}
    return {"ok": report.ok, **result}


def drift(config):
    """Return the largest float32 difference of a loss up to each mark, over seeds."""
    recipe = Recipe(optimizer="momentum", lr=0.01, deterministic_dropout=True)
    maxima = []
    for seed in (0, 1, 2):
        runs = trajectory.losses(
            config, BACKENDS, recipe=recipe, steps=MARKS[-1], seed=seed
        )
        pairs = combinations(runs.values(), 2)
        maxima.append(np.max([np.abs(a - b) for a, b in pairs], axis=0))
    worst = np.maximum.accumulate(np.max(maxima, axis=0))
    return {str(mark): float(worst[mark - 1]) for mark in MARKS}


def learned(name):
    """Train a task in every backend; draw its curves; return what it reached."""
    task = TASKS[name]
    runs = {backend: task.run(backend) for backend in BACKENDS}
    curves = {backend: history.losses for backend, history in runs.items()}
    title = f"{name} on {task.data}"
    plots.losses(curves, DOCS / f"learning-{name}.svg", title)
    return {
        "data": task.data,
        "measure": task.measure,
        "goal": task.goal or bigram_entropy(),
        "steps": len(runs["torch"].losses),
        **{
            backend: {
                "value": history.evaluations[-1][task.measure],
                "seconds": round(history.seconds, 1),
            }
            for backend, history in runs.items()
        },
    }


def main():
    quick = "--quick" in sys.argv[1:]
    cells, families = (CELLS[:2], REPRESENTATIVES[:1]) if quick else (
        CELLS, REPRESENTATIVES,
    )  # fmt: skip
    proof = {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {"zoo": zoo.__version__, **versions()},
        "steps": STEPS,
        "optimizers": {},
        "families": {},
        "drift": {},
        "learning": {},
    }
    for cell in cells:
        proof["optimizers"][str(cell)] = figures(cell.prove())
        print(cell, proof["optimizers"][str(cell)], flush=True)
    for name in families:
        config = zoo.config(name).small()
        if hasattr(config, "dropout"):
            config = config.override(dropout=0.2)
        report = zoo.check(
            config, rungs=("names",), dtypes=("float64",), batch=8, train=True, steps=50
        )
        proof["families"][name] = figures(report)
        print(name, proof["families"][name], flush=True)
    for name in list(DRIFT)[: 1 if quick else None]:
        proof["drift"][name] = drift(DRIFT[name])
        print("drift", name, proof["drift"][name], flush=True)
    for name in list(TASKS)[: 0 if quick else None]:
        proof["learning"][name] = learned(name)
        print("learned", name, proof["learning"][name], flush=True)
    if not quick:
        text = json.dumps(proof, indent=1) + "\n"
        atomically(DOCS / "proof.json", lambda path: path.write_text(text))
        atomically(DOCS / "proof.md", lambda path: path.write_text(page(proof)))
    kinds = ("optimizers", "families")
    bad = [n for kind in kinds for n, result in proof[kind].items() if not result["ok"]]
    bad += [
        f"{name} in {backend}"
        for name, result in proof["learning"].items()
        for backend in BACKENDS
        if not TASKS[name].reached(result[backend]["value"])
    ]
    print(f"not proven: {', '.join(bad)}" if bad else "all proven")
    sys.exit(bool(bad))


def page(proof):
    """Return docs/proof.md: the figures of proof.json as tables."""
    versions = ", ".join(f"{k} {v}" for k, v in proof["versions"].items())
    lines = [
        "# The training proof",
        "",
        f"Written by `make proof` on {proof['date']} with Python {proof['python']},"
        f" {versions}. All numbers are in [proof.json](proof.json).",
        "",
        "## Optimizers, float64",
        "",
        "The largest difference of Keras or Flax from PyTorch, in losses, outputs,"
        " weights, buffers and optimizer slots, relative to scale: after one step,"
        f" after {proof['steps']} steps, and after {proof['steps']} steps of which the"
        " second half continues from each framework's checkpoint."
        " Allowed is 1e-10 after one step, and 1e-8 after more. Each number is the"
        " worst of both models (an MLP and a CNN with batch norm), with and without"
        " warm-up and cosine.",
        "",
        "| optimizer | clipping | one step | 200 steps | resumed elsewhere |",
        "|---|---|---|---|---|",
    ]
    groups = {}
    for name, result in proof["optimizers"].items():
        parts = name.split("-")
        groups.setdefault((parts[0], parts[-2]), []).append(result)
    for (optimizer, clipping), results in groups.items():
        worst = [max(r[rung] for r in results) for rung in trajectory.TRAINING_RUNGS]
        cells = " | ".join(f"{w:.0e}" for w in worst)
        lines.append(f"| {optimizer} | {clipping} | {cells} |")
    lines += [
        "",
        "## Kinds of models, float64",
        "",
        "Small versions of the networks, trained for 50 steps by momentum with warm-up"
        " + cosine, decay, clipping and deterministic dropout of 0.2.",
        "",
        "| model | one step | 50 steps | resumed elsewhere |",
        "|---|---|---|---|",
    ]
    for name, result in proof["families"].items():
        cells = " | ".join(f"{result[rung]:.0e}" for rung in trajectory.TRAINING_RUNGS)
        lines.append(f"| {name} | {cells} |")
    lines += [
        "",
        "## Drift in float32",
        "",
        "The largest difference of a step's loss between any two frameworks, over three"
        " seeds, within the first 10, 50 and 200 steps. In networks with ReLU or"
        " max-pool, rounding can switch a unit on in one framework only; from then on"
        " the runs differ.",
        "",
        "| model | " + " | ".join(f"{m} steps" for m in MARKS) + " |",
        "|---|" + "---|" * len(MARKS),
    ]
    for name, result in proof["drift"].items():
        cells = " | ".join(f"{result[str(m)]:.0e}" for m in MARKS)
        lines.append(f"| {name} | {cells} |")
    lines += [
        "",
        "## Learning on real data, float32",
        "",
        "Each framework has the same seed. The same writers' digits are in both parts"
        " of the random split. The seconds are those of the training steps, on a"
        " machine that also ran other work.",
        "",
        "| model | data | steps | goal | "
        + " | ".join(TITLES[r] for r in BACKENDS)
        + " |",
        "|---|---|---|---|" + "---|" * len(BACKENDS),
    ]
    for name, result in proof["learning"].items():
        sign = "<" if result["measure"] == "loss" else "≥"
        goal = f"{result['measure']} {sign} {result['goal']:.3g}"
        cells = " | ".join(
            f"{result[r]['value']:.4f} ({result[r]['seconds']:.0f} s)" for r in BACKENDS
        )
        row = f"| {name} | {result['data']} | {result['steps']} | {goal} | {cells} |"
        lines.append(row)
    for name in proof["learning"]:
        lines += ["", f"![Training loss of {name}](learning-{name}.svg)"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
