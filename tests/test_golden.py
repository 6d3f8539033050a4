"""Names, shapes, counts and seed-0 weights of every preset, held against a file.

`python tests/test_golden.py` writes the file anew, after a change that is meant.
"""

import hashlib
import json
from pathlib import Path

import pytest
import torch

import zoo
from zoo.registry import twin
from zoo.spec.initializers import draw
from zoo.torch import shapes, trainable

FILE = Path(__file__).parent / "golden.json"


def fingerprint(name):
    """Return what must not change by accident."""
    config = zoo.config(name)
    with torch.device("meta"):
        model = twin(config, "torch")(config)
    found = shapes(model)
    weights = hashlib.sha256()
    for key, shape in found.items():
        weights.update(draw(config, 0, key, shape).tobytes())
    layout = json.dumps([[k, list(s)] for k, s in found.items()])
    learned = trainable(model)
    return {
        "parameters": sum(torch.Size(found[n]).numel() for n in learned),
        "layout": hashlib.sha256(layout.encode()).hexdigest()[:16],
        "weights": weights.hexdigest()[:16],
    }


def test_every_preset_is_in_the_file():
    assert sorted(json.loads(FILE.read_text())) == zoo.list_models()


@pytest.mark.parametrize("name", zoo.list_models())
def test_golden(name):
    assert fingerprint(name) == json.loads(FILE.read_text())[name]


if __name__ == "__main__":
    golden = {name: fingerprint(name) for name in zoo.list_models()}
    FILE.write_text(json.dumps(golden, indent=1) + "\n")
