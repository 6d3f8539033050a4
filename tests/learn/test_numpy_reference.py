"""The network from scratch: right by calculus, and the same as the zoo's."""

import numpy as np
import pytest

import zoo
from zoo.configs.mlp import MLPConfig
from zoo.data.scikit import digits
from zoo.learn import numpy_reference as scratch

CONFIG = MLPConfig(in_features=64, hidden=(16,), num_classes=10)


def batch(count=12):
    """Return digits (with many exact zeros) and their labels."""
    ink, labels = digits()
    return ink[:count].reshape(count, 64).astype(np.float64), labels[:count].copy()


def test_gradients_are_those_of_finite_differences():
    x, labels = batch()
    state = scratch.initial(64, 16, 10)
    loss, grads = scratch.gradients(state, x, labels)
    assert loss == scratch.cross_entropy(scratch.forward(state, x), labels)
    random, step = np.random.default_rng(0), 1e-6
    for name, grad in grads.items():
        assert grad.shape == state[name].shape
        direction = random.normal(size=grad.shape)
        sides = []
        for sign in (1, -1):
            moved = {**state, name: state[name] + sign * step * direction}
            sides.append(scratch.cross_entropy(scratch.forward(moved, x), labels))
        slope = (sides[0] - sides[1]) / (2 * step)
        assert slope == pytest.approx((grad * direction).sum(), rel=1e-6), name


@pytest.mark.filterwarnings("ignore:switched JAX to 64 bits")
@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_a_step_is_that_of_the_frameworks(backend):
    x, labels = batch()
    model = zoo.build(CONFIG, backend, dtype="float64")
    state = zoo.state(model)
    dead = state["linears.0.weight"][3]  # z = 0 exactly, for every example
    dead[:] = 0
    zoo.load_state(model, state)
    package = zoo.registry.get_backend(backend)
    result = package.backward(model, (x,), {"cross_entropy": labels}, "cross_entropy")
    loss, grads = scratch.gradients(state, x, labels)
    assert grads.keys() == state.keys() == result.gradients.keys()
    assert abs(loss - result.losses["cross_entropy"]) < 1e-10
    assert abs(scratch.forward(state, x) - result.outputs).max() < 1e-10
    for name, grad in grads.items():
        assert abs(grad - result.gradients[name]).max() < 1e-10, name
    assert not grads["linears.0.weight"][3].any()


def test_large_scores_do_not_overflow():
    s = np.array([[1e4, 0.0], [0.0, -1e4]])
    with np.errstate(all="raise", under="ignore"):
        assert scratch.cross_entropy(s, np.array([0, 1])) == 5000


def test_it_learns_the_digits():
    order = np.random.default_rng(0).permutation(1797)  # by writer, as they come
    ink, labels = digits().images[order], digits().labels[order]
    x = ink.reshape(-1, 64).astype(np.float64)
    start = scratch.initial(64, 32, 10)
    state, losses = scratch.train(start, x[:1437], labels[:1437], lr=0.2)
    assert len(losses) == 10 * 45
    means = np.reshape(losses, (10, 45)).mean(1)
    assert (np.diff(means) < 0).all() and means[-1] < means[0] / 5
    right = scratch.forward(state, x[1437:]).argmax(1) == labels[1437:]
    assert right.mean() > 0.9
    model = zoo.build(MLPConfig(in_features=64, hidden=(32,), num_classes=10))
    zoo.load_state(model, state)
    logits = zoo.predict(model, x[1437:])
    assert (logits.argmax(1) == labels[1437:]).mean() == right.mean()


CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)


def test_the_perceptron_learns_and():
    y = np.array([0, 0, 0, 1])
    lesson = scratch.perceptron(CORNERS, y)
    assert lesson.errors[-1] == 0 and len(lesson.errors) < 10
    model = zoo.build("perceptron")
    zoo.load_state(model, lesson.state)
    assert ((zoo.predict(model, CORNERS)[:, 0] > 0) == y).all()


def test_the_perceptron_never_learns_xor():
    lesson = scratch.perceptron(CORNERS, np.array([0, 1, 1, 0]), epochs=100)
    assert len(lesson.errors) == 100 and min(lesson.errors) > 0
    first = lesson.path.index(lesson.path[-1])
    cycle = lesson.path[first : lesson.path.index(lesson.path[-1], first + 1)]
    assert len(set(lesson.path)) < 10 and lesson.path[-1] in cycle
    turns = lesson.path[first:]
    assert turns == (cycle * 100)[: len(turns)], "the same way round, for ever"
