"""What the loop checks before it trains: targets, and a checkpoint's moments."""

import numpy as np
import pytest

import zoo
from tests.training.runs import CONFIG, RECIPE
from zoo.errors import FileError, InputError
from zoo.files.safetensors import read_file, write_safetensors
from zoo.spec.recipe import Recipe
from zoo.training.folder import RunFolder


@pytest.mark.parametrize("backend", zoo.registry.BACKENDS)
def test_a_lost_moment_is_told(backend, tmp_path):
    model = zoo.build("mlp", backend, **CONFIG)
    zoo.fit(model, "digits", RECIPE.override(steps=2), out=tmp_path)
    path = RunFolder(tmp_path).at(2) / "optimizer.safetensors"
    slots, _ = read_file(path)
    del slots["exp_avg/head.bias"]
    write_safetensors(slots, path, {})
    with pytest.raises(FileError, match=r"exp_avg/head\.bias must be"):
        zoo.resume(tmp_path)


@pytest.mark.parametrize("backend", zoo.registry.BACKENDS)
def test_what_cannot_be_targets_gets_one_line(backend):
    """Frameworks would broadcast, wrap round, or end in a traceback."""
    x = np.zeros((8, 64), np.float32)
    for loss, targets, words in [
        ("cross_entropy", np.full(8, -1), "ids must be in"),
        ("cross_entropy", np.full(8, 10), "ids must be in"),
        ("cross_entropy", np.zeros(8), "needs ids"),
        ("cross_entropy", np.zeros((8, 1), int), "needs targets of shape"),
        ("bce", np.zeros(8, np.float32), "needs targets of shape"),
        ("mse", np.zeros((8, 1), np.float32), "needs targets of shape"),
    ]:
        model = zoo.build("mlp", backend, **CONFIG)
        with pytest.raises(InputError, match=words):
            zoo.fit(model, (x, targets), Recipe(loss=loss, steps=1))
    with pytest.raises(InputError, match="must be floats"):
        zoo.fit(model, (x.astype(np.uint8), np.zeros(8, int)), Recipe(steps=1))
