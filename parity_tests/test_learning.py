"""Real learning: every backend reaches the goal on real data, from the same seed."""

import pytest

from parity_tests.learning import QUICK
from zoo.registry import BACKENDS

pytestmark = pytest.mark.usefixtures("optimised")  # hundreds of steps


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", QUICK)
def test_it_learns(name, backend):
    task = QUICK[name]
    history = task.run(backend)
    value = history.evaluations[-1][task.measure]
    assert task.reached(value), f"{task.measure} {value}"
