"""The recorder of submodules' calls, on layers made of NumPy."""

import numpy as np

from zoo.spec import tracing
from zoo.spec.tracing import Call, Recorder


class Double:
    def __call__(self, x):
        return 2 * x


class Net:
    """Doubles twice, with the same submodule, and returns a pair."""

    def __init__(self):
        self.inner = Double()

    def __call__(self, x):
        return self.inner(self.inner(x)), np.int32(1) * np.ones(1, np.int32)


def record(net, x, **how):
    """Return a net's outputs and its calls; every call goes by the recorder."""
    names = {id(net): "", id(net.inner): "inner"}
    recorder = Recorder(names, lambda x: x, lambda new, old: new, **how)
    calls = {cls: cls.__call__ for cls in (Net, Double)}
    try:
        for cls, call in calls.items():
            cls.__call__ = recorder.around(call)
        return net(x), recorder.calls
    finally:
        for cls, call in calls.items():
            cls.__call__ = call


def test_calls_are_recorded_as_they_return():
    outputs, calls = record(Net(), np.ones(2))
    assert outputs[0].tolist() == [4, 4]
    assert [(c.name, c.kind, c.index) for c in calls] == [
        ("inner", "Double", 0),
        ("inner", "Double", 1),
        ("", "Net", 0),
    ]
    assert [c.parent for c in calls] == ["", "", ""]
    assert [(c.begin, c.end) for c in calls] == [(1, 2), (3, 4), (0, 5)]
    assert calls[1].given[0].tolist() == [2, 2]
    assert calls[1].output.tolist() == [4, 4]


def test_a_forced_call_runs_on_its_twins_inputs_and_hands_on_its_output():
    inputs, output = (np.full(2, 10.0),), np.full(2, -1.0)
    twin = Call("inner", "Double", 0, "", 1, 2, inputs, inputs, output, output)
    outputs, calls = record(Net(), np.ones(2), forced={("inner", 0): twin})
    first = calls[0]
    assert first.given[0].tolist() == [1, 1]
    assert first.inputs[0].tolist() == [10, 10]
    assert first.own.tolist() == [20, 20]
    assert first.output.tolist() == [-1, -1]
    assert outputs[0].tolist() == [-2, -2]  # the second call was not forced


def test_a_twin_of_another_shape_forces_nothing():
    other = np.zeros(3)
    twin = Call("inner", "Double", 0, "", 1, 2, (other,), (other,), other, other)
    outputs, _ = record(Net(), np.ones(2), forced={("inner", 0): twin})
    assert outputs[0].tolist() == [4, 4]


def test_taps_pair_real_outputs_with_gradients_and_integers_with_zeros():
    _, calls = record(Net(), np.ones(2))
    gradients = [np.full(2, i) for i in (1.0, 2.0, 3.0)]
    taps = tracing.taps(calls, gradients, lambda x: x)
    assert [t.name for t in taps] == ["inner", "inner", ""]
    assert [t.gradient.tolist() for t in taps[:2]] == [[1, 1], [2, 2]]
    real, whole = taps[2].gradient
    assert (real.tolist(), whole.tolist()) == ([3, 3], [0])


def test_arrays_in_nested_tuples():
    a, b, c = np.zeros(1), np.ones(2), np.array([np.inf])
    found = tracing.arrays_in((a, [b, None]))
    assert list(map(id, found)) == [id(a), id(b)]
    assert tracing.arrays_in("text") == []
    assert not tracing.has_nan((a, (b,)))
    assert tracing.has_nan((a, (b, c)))
