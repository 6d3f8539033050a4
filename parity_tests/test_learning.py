"""Real learning: every room reaches the goal on real data, from the same seed."""

import pytest

from parity_tests.learning import TASKS
from zoo.registry import ROOMS


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("name", TASKS)
def test_it_learns(name, room):
    task = TASKS[name]
    history = task.run(room)
    value = history.evaluations[-1][task.measure]
    assert task.reached(value), f"{task.measure} {value}"
