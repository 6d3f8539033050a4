"""Each module of zoo with logic has a test file at its place.

`zoo/data/text.py` is tested in `tests/data/test_text.py`, `zoo/cli/_model.py` in
`tests/cli/test_model.py`, and the package `zoo/data/__init__.py` in
`tests/data/test_data.py`.
"""

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import zoo

ROOT = Path(zoo.__file__).parent
TESTS = Path(__file__).parent

# Modules that are tested elsewhere, as patterns of paths in zoo, and where.
ELSEWHERE = {
    # The lazy names of the package, and the Protocol that backends fulfil.
    "__init__.py": "tests/test_front_door.py tests/test_names.py",
    "backend.py": "tests/test_isolation.py",
    # Architectures and their configs are proven against each other, and counted.
    "configs/[a-z]*.py": "parity_tests/test_presets.py tests/configs/test_counts.py",
    # Backends: what one of them alone can do, then what all can.
    "torch/*.py": "tests/torch/test_torch.py tests/backends/test_timed.py",
    "tf/*.py": "tests/tf/test_tf.py tests/backends/test_timed.py",
    "jax/*.py": "tests/jax/test_jax.py tests/backends/test_timed.py",
    # What finds a fault is tested with faults that are planted in real models.
    "parity/divergence.py": "parity_tests/test_mutations.py",
    "parity/ladder.py": "parity_tests/test_mutations.py",
    "parity/subjects.py": "tests/parity/test_check.py",
    "parity/trajectory.py": "parity_tests/test_training_mutations.py",
    # What two commands share, and what runs in a cell's own process.
    "cli/_study.py": "tests/cli/test_compare.py tests/cli/test_bench.py",
    "study/bench.py": "tests/study/test_engine.py tests/cli/test_compare.py",
    "study/profiling.py": "tests/cli/test_bench.py",
    # The parts of one page, which is tested as a whole and looked at in a browser.
    "study/report/*.py": "tests/study/report/test_page.py tests/browser/test_report.py",
}


def has_logic(path):
    """Return whether a module defines a function or a class."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) for node in ast.parse(path.read_text()).body)


def own_place(path):
    """Return where a module's test file belongs."""
    name = path.parent.name if path.stem == "__init__" else path.stem.lstrip("_")
    return TESTS / path.relative_to(ROOT).parent / f"test_{name}.py"


UNTESTED = [
    path.relative_to(ROOT).as_posix()
    for path in sorted(ROOT.rglob("*.py"))
    if has_logic(path) and not own_place(path).exists()
]


def test_every_module_with_logic_has_a_test_file():
    missing = [
        module
        for module in UNTESTED
        if not any(fnmatchcase(module, pattern) for pattern in ELSEWHERE)
    ]
    assert not missing, "without a test file at their place, and not in ELSEWHERE"


@pytest.mark.parametrize("pattern", ELSEWHERE)
def test_what_is_tested_elsewhere_is_there(pattern):
    assert any(fnmatchcase(module, pattern) for module in UNTESTED), "needs no entry"
    for name in ELSEWHERE[pattern].split():
        assert (TESTS.parent / name).exists(), name
