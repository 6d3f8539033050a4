"""Data sets by name, pictures for them, and one's own arrays."""

import numpy as np
import pytest

from tests.data.loading import EMBEDDED
from zoo import data as datasets
from zoo.configs.cnn import CNNConfig
from zoo.configs.mlp import MLPConfig
from zoo.configs.rnn import RecurrentNetConfig
from zoo.data import scikit
from zoo.data.batches import Batches
from zoo.errors import InputError, UnknownNameError, ZooError
from zoo.models import as_inputs

# By name


def test_unknown_names_get_a_hint():
    with pytest.raises(UnknownNameError, match="Did you mean 'digits'"):
        datasets.load("digit", CNNConfig())
    with pytest.raises(UnknownNameError, match="folder:PATH"):
        datasets.overrides("folder:", CNNConfig())
    with pytest.raises(UnknownNameError, match="bce"):
        datasets.load("digits", CNNConfig(), loss="hinge")
    with pytest.raises(InputError, match="takes no path"):
        datasets.load("digits", CNNConfig(), path="x")
    assert set(EMBEDDED) < set(datasets.names())


# One's own arrays


@pytest.mark.parametrize(
    "targets, task, dtype",
    [
        (np.arange(6), "classify", np.int32),
        (np.ones((6, 4), np.uint8), "language", np.int32),
        (np.ones((6, 4, 4), int), "segment", np.int32),
        (np.ones((6, 4, 4, 1)), "segment", np.float64),
        (np.ones((6, 1), bool), "classify", np.float32),
        (np.linspace(0, 1, 6)[:, None], "regress", np.float64),
    ],
)
def test_own_arrays(targets, task, dtype):
    x = np.ones((6, 3))
    found = datasets.from_arrays(x, targets, test=((x[:2],), targets[:2]))
    assert found.task == task
    assert (len(found.train), len(found.test)) == (6, 2)
    batch = Batches(found.train, 4, seed=0).batch(0)
    assert batch.targets.dtype == dtype
    assert batch.inputs[0].dtype == np.float64
    assert len(datasets.from_arrays(x, targets).test) == 0


def test_own_arrays_that_do_not_belong_together():
    for x, t in ((np.ones(3), np.ones(4)), (np.ones((0, 2)), np.ones(0)), (1.0, 2)):
        with pytest.raises(InputError, match="one length"):
            datasets.from_arrays(x, t)
    with pytest.raises(InputError, match="ids or numbers"):
        datasets.from_arrays(np.ones(2), np.array(["a", "b"]))
    assert issubclass(InputError, ZooError)


# Pictures


def test_a_digit_saved_as_a_picture_is_the_same_input(tmp_path):
    from PIL import Image

    ink = scikit.digits().images[5]
    Image.fromarray(np.rint(ink * 255).astype(np.uint8)).save(tmp_path / "5.png")
    for config in (
        CNNConfig(),
        MLPConfig(),
        RecurrentNetConfig(in_features=8, length=8),
    ):
        [x] = datasets.picture(tmp_path / "5.png", "digits", config)
        as_inputs(config, x)
        assert np.abs(x.max() - ink.max()) < 0.01
    assert np.abs(x[0] - ink).max() < 0.5 / 255 + 1e-6
    with pytest.raises(InputError, match="pictures"):
        datasets.picture(tmp_path / "5.png", "breast_cancer", MLPConfig(in_features=30))
