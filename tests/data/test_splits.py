"""The split of a data set, and examples that are fitted when taken."""

import numpy as np

from tests.data.loading import everything, loaded
from zoo.configs.cnn import CNNConfig
from zoo.data.splits import stratified


def test_the_split_is_stratified_stable_and_seeded():
    labels = np.repeat([0, 1, 2], [50, 30, 1])
    train, test = stratified(labels, 0)
    assert sorted([*train, *test]) == list(range(81))
    assert np.bincount(labels[test], minlength=3).tolist() == [10, 6, 0]
    assert np.array_equal(stratified(labels, 0)[1], test)
    assert not np.array_equal(stratified(labels, 1)[1], test)
    assert test[:4].tolist() == [1, 9, 10, 15]  # for ever: checkpoints go on with it


def test_large_images_are_fitted_when_taken_and_are_the_same(monkeypatch):
    at_once = everything(loaded("digits", CNNConfig()).test)
    monkeypatch.setattr("zoo.data.splits.FITTED_ONCE", 0)
    later = everything(loaded("digits", CNNConfig()).test)
    assert np.array_equal(at_once.inputs[0], later.inputs[0])
    assert np.array_equal(at_once.targets, later.targets)
