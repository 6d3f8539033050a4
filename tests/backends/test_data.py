"""The views of batches for other people's loops, in every framework."""

import numpy as np
import pytest

from zoo.data import from_arrays, load
from zoo.data.batches import Batches
from zoo.registry import config


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
@pytest.mark.parametrize("name", ["cnn", "unet_bn", "gpt"])
def test_a_view_has_the_order_and_the_values_of_the_batches(backend, name):
    from importlib import import_module

    what = {"cnn": "digits", "unet_bn": "digit_scenes", "gpt": "text"}[name]
    fitted = config(name, **({"vocabulary": 200} if name == "gpt" else {}))
    batches = Batches(load(what, fitted).train, 700, seed=5)
    view = import_module(f"zoo.{backend}._data").loader(batches, epoch=2)
    first, count = 2 * batches.steps_per_epoch, 0
    for _ in range(2 if backend == "jax" else 1):  # and once more
        for step, (x, y) in enumerate(view, first):
            inputs, targets = batches.batch(step)
            x, y = np.asarray(x), np.asarray(y)
            if backend == "torch":
                x, y = (a.transpose(0, 2, 3, 1) if a.ndim == 4 else a for a in (x, y))
            for found, wanted in ((x, inputs[0]), (y, targets)):
                ids = np.int64 if backend == "torch" else np.int32
                assert found.dtype == (ids if wanted.dtype == np.int32 else np.float32)
                assert np.array_equal(found, wanted)
            count += 1
    assert len(view) == batches.steps_per_epoch
    assert count == (2 if backend == "jax" else 1) * len(view)


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_a_view_of_several_inputs_gives_a_tuple(backend):
    from importlib import import_module

    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    data = from_arrays((x, x[:, 0] > 3), np.arange(6))
    view = import_module(f"zoo.{backend}._data").loader(Batches(data.train, 4, seed=0))
    for (a, mask), _ in view:
        assert np.array_equal(np.asarray(a)[:, 0] > 3, np.asarray(mask))
