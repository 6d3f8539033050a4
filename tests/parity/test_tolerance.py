"""Errors relative to their scale, and the bounds they are held to."""

import numpy as np
import pytest

from zoo.parity import tolerance
from zoo.parity.tolerance import Error, Results
from zoo.spec.tracing import Pass


def errors(ours, reference):
    return {e.where: e.error for e in tolerance.compare(ours, reference)}


def test_errors_are_shares_of_each_tensors_own_scale():
    reference = {"a": np.array([0.0, -4.0]), "b": np.array([100.0])}
    ours = {"a": np.array([1.0, -4.0]), "b": np.array([101.0])}
    assert errors(ours, reference) == {"a": 0.25, "b": 0.01}


def test_small_tensors_are_held_to_a_thousandth_of_the_largest():
    reference = {"large": np.array([8.0]), "small": np.array([1e-9])}
    ours = {"large": np.array([8.0]), "small": np.array([2e-9])}
    assert errors(ours, reference)["small"] == pytest.approx(1e-9 / 8e-3)


def test_what_cannot_be_compared_has_an_infinite_error():
    one = np.ones(1)
    assert errors({"a": one}, {"b": one}) == {"a": np.inf, "b": np.inf}
    assert errors({"a": one}, {"a": np.ones(2)}) == {"a": np.inf}
    assert errors({"a": one * np.nan}, {"a": one}) == {"a": np.inf}
    assert errors({"a": one}, {"a": one * np.inf}) == {"a": np.inf}


def test_zeros_must_be_zeros():
    zero = np.zeros(2)
    assert errors({"a": zero}, {"a": zero}) == {"a": 0}
    assert errors({"a": zero + 1e-30}, {"a": zero}) == {"a": 1}


def test_the_worst_of_nothing_is_no_error():
    assert tolerance.worst([]) == Error(0.0, "")
    assert tolerance.worst([Error(0.1, "a"), Error(0.3, "b")]).where == "b"


def test_the_best_backend_sets_the_bound_of_float32():
    eps = 2.0**-23
    assert tolerance.bound32([Error(1e-4, ""), Error(1.0, "")]) == 16 * 1e-4
    assert tolerance.bound32([Error(0.0, "")]) == 64 * eps  # never below this
    assert tolerance.bound32([Error(0.5, "")]) == 1e-2  # and never above this
    assert tolerance.bound32([Error(np.inf, "")]) == 64 * eps


def test_calibration_holds_each_model_against_its_own_float64():
    def result(value):
        return Results(np.array([value]), None)

    doubles = {"a": result(1.0), "b": result(2.0)}
    singles = {"a": result(1.0001), "b": result(2.002)}
    found, bound = tolerance.calibrate("forward", doubles, singles)
    assert found["a"].error == pytest.approx(1e-4)
    assert found["b"].error == pytest.approx(1e-3)
    assert bound == pytest.approx(1.6e-3)


def test_each_rung_has_its_tensors():
    x = [np.full(1, float(i)) for i in range(6)]
    train = Pass(x[0], {"mse": 7.0}, {"w": x[1]}, {0: x[2]}, {"running_mean": x[3]})
    results = Results(x[4], train, short=x[5])
    assert list(results.tensors("forward")) == ["", "without the optional inputs"]
    assert results.tensors("forward (train)") == {"": x[0]}
    assert results.tensors("loss") == {"mse": 7.0}
    assert results.tensors("buffers") == {"running_mean": x[3]}
    assert list(results.tensors("gradients")) == ["input 0", "w"]


def test_only_comparable_arrays_differ():
    a = np.ones((2, 3))
    assert not tolerance.differ((a, a + 1e-12), (a, a))
    assert tolerance.differ((a,), (a + 1e-9,))
    assert not tolerance.differ((a,), (a[0] + 1,))  # of other ranks
    assert not tolerance.differ((a.astype(int),), (a.astype(int) + 1,))


def test_flips_are_changes_of_sign_and_of_neighbours_order():
    x = np.arange(1.0, 17).reshape(1, 4, 4, 1)
    assert not tolerance.flipped(x, x + 0.1)
    assert tolerance.flipped(np.array([0.1, -0.1]), np.array([0.1, 0.1]))
    swapped = x.copy()
    swapped[0, 2, [1, 2]] = swapped[0, 2, [2, 1]]  # as max pooling would see it
    assert tolerance.flipped(x, swapped)
    assert not tolerance.flipped(x, x[:, :2])
    assert not tolerance.flipped(np.arange(3), -np.arange(3))
