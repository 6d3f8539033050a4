"""The page of the training proof shows what proof.json holds."""

import json

from parity_tests.learning import TASKS
from parity_tests.matrix import CELLS
from parity_tests.proof import DOCS, page
from tests.representatives import REPRESENTATIVES
from zoo.registry import BACKENDS


def test_the_page_is_that_of_the_figures():
    proof = json.loads((DOCS / "proof.json").read_text())
    assert (DOCS / "proof.md").read_text() == page(proof)
    assert set(proof["optimizers"]) == {str(cell) for cell in CELLS}
    assert set(proof["families"]) == set(REPRESENTATIVES)
    for kind in ("optimizers", "families"):
        for name, found in proof[kind].items():
            assert found["ok"], name
            assert found["one step"] <= 1e-10, name
            assert max(found["steps"], found["resume elsewhere"]) <= 1e-8, name
    for name, task in TASKS.items():
        for backend in BACKENDS:
            assert task.reached(proof["learning"][name][backend]["value"]), name
