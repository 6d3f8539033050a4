"""Source of twins, cut and aligned side by side."""

from pathlib import Path

import pytest

import zoo
from zoo import source
from zoo.registry import BACKENDS
from zoo.source import Part, align


@pytest.mark.parametrize("name", zoo.list_models())
@pytest.mark.parametrize("whole", [False, True])
def test_every_line_of_a_twin_stands_in_the_aligned_view(name, whole):
    config = zoo.config(name)
    cuts = [
        source.cut(config, backend, whole=whole, layers=True) for backend in BACKENDS
    ]
    rows = align([c.parts for c in cuts])
    for i, cut in enumerate(cuts):
        parts = [row[i] for row in rows if row[i]]
        covered = [n for part in parts for n in range(part.start, part.stop)]
        lines = cut.code.splitlines()
        assert covered[: len(lines)] == list(range(len(lines)))
        assert set(range(len(lines))) <= set(covered)


def test_align_keeps_what_only_one_twin_has():
    def parts(*names):
        return [Part((n, "", "", 0), i, i + 1) for i, n in enumerate(names)]

    rows = align([parts("a", "c"), parts("a", "b", "c"), parts("z", "a", "c")])
    shown = ["".join(p.key[0] if p else "-" for p in row) for row in rows]
    assert shown == ["--z", "aaa", "-b-", "ccc"]


def test_a_twins_file_is_found_by_convention():
    path = source.twin_file(zoo.config("unet"), "jax")
    assert path == Path(zoo.__file__).parent / "jax" / "unet.py"


def test_what_a_model_uses_is_cut_with_it_and_nothing_else():
    text = "A = 1\n# of B\nB = A\n\n\ndef used():\n    return B\n\n\nC = 2\n"
    file = source._File(text)
    assert file.closure(["used"]) == ["A", "B", "used"]
    assert file.span("B") == (1, 3)  # with the comment above it
    assert file.everything() == [(0, 1), (1, 5), (5, 9), (9, 10)]


def test_a_class_is_split_at_methods_and_steps():
    lines = [
        "class Net:",
        "    def __init__(self):",
        "        pass",
        "    @cache",
        "    def call(self, x):",
        "        # § stem",
        "        x = 1",
        "        # § stem",
        "        return x",
    ]
    parts = [(p.key[1:], p.start, p.stop) for p in source._parts("Net", lines)]
    assert parts == [
        (("", "", 0), 0, 1),
        (("__init__", "", 0), 1, 3),
        (("forward", "", 0), 3, 5),  # each framework names it differently
        (("forward", "stem", 0), 5, 7),
        (("forward", "stem", 1), 7, 9),
    ]
