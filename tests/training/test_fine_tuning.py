"""Fine-tuning: a new head, frozen weights, rates of their own; in every backend."""

import numpy as np
import pytest

import zoo
from zoo.errors import ConfigError
from zoo.registry import BACKENDS
from zoo.spec.recipe import Recipe

CNN = {"widths": (4, 6), "image_size": 9}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a file with a trained network of ten classes."""
    path = tmp_path_factory.mktemp("saved") / "cnn.safetensors"
    model = zoo.build("cnn", "torch", **CNN)
    zoo.fit(model, "digits", Recipe(lr=0.01, steps=10))
    zoo.save(model, path)
    return path


def new_head(path, backend, classes=2):
    with pytest.warns(UserWarning, match=r"head.weight, head.bias start anew"):
        return zoo.load(path, backend, num_classes=classes, seed=4)


def test_the_new_head_is_the_same_in_every_backend_and_the_rest_is_kept(saved):
    before = zoo.state(zoo.load(saved))
    states = [zoo.state(new_head(saved, backend)) for backend in BACKENDS]
    for state in states:
        assert state["head.weight"].shape == (2, 6)
        for name, array in state.items():
            assert np.array_equal(array, states[0][name])
            if not name.startswith("head."):
                assert np.array_equal(array, before[name])


def test_as_many_classes_as_before_keep_the_head(saved, recwarn):
    again = zoo.load(saved, "jax", num_classes=10)
    assert np.array_equal(
        zoo.state(again)["head.weight"], zoo.state(zoo.load(saved))["head.weight"]
    )
    assert not [w for w in recwarn if "anew" in str(w.message)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_frozen_weights_and_statistics_stay_and_the_head_learns(saved, backend):
    model = zoo.load(saved, backend)
    before = zoo.state(model)
    frozen = ("convs.*", "norms.*")
    recipe = Recipe(lr=0.01, steps=5, weight_decay=0.1, freeze=frozen, ema=0.9)
    zoo.fit(model, "digits", recipe)
    after = zoo.state(model)
    for name in after:
        moved = not np.array_equal(before[name], after[name])
        assert moved == name.startswith("head."), name
    assert zoo.count_parameters(model) == sum(
        v.size for k, v in after.items() if "running" not in k
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_group_has_a_rate_of_its_own(saved, backend):
    def moved(groups):
        model = zoo.load(saved, backend)
        before = zoo.state(model)
        recipe = Recipe(optimizer="sgd", lr=0.1, steps=1, lr_groups=groups)
        zoo.fit(model, "digits", recipe)
        after = zoo.state(model)
        return {k: after[k] - before[k] for k in ("head.weight", "convs.0.weight")}

    plain, tuned = moved(()), moved((("head.*", 8.0),))
    scale = np.abs(plain["head.weight"]).max()
    assert np.allclose(
        tuned["head.weight"], 8 * plain["head.weight"], atol=1e-3 * scale, rtol=1e-3
    )
    assert plain["convs.0.weight"].any()
    np.testing.assert_allclose(
        tuned["convs.0.weight"], plain["convs.0.weight"], atol=1e-3 * scale, rtol=1e-3
    )


def test_patterns_that_match_nothing_and_nothing_left_to_train(saved):
    model = zoo.load(saved)
    with pytest.raises(ConfigError, match=r"'haed\.\*' matches no weight"):
        zoo.fit(model, "digits", Recipe(steps=1, freeze=("haed.*",)))
    with pytest.raises(ConfigError, match="leaves no weight"):
        zoo.fit(model, "digits", Recipe(steps=1, freeze=("*",)))
