"""Real learning: every backend reaches the goal on real data, from the same seed."""

import pytest

from parity_tests.learning import TASKS
from zoo.registry import BACKENDS


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", TASKS)
def test_it_learns(name, backend):
    task = TASKS[name]
    history = task.run(backend)
    value = history.evaluations[-1][task.measure]
    assert task.reached(value), f"{task.measure} {value}"
