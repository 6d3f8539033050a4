"""Which files of zoo the results of a study depend on."""

import shutil
from pathlib import Path

import pytest

import zoo
from zoo.study.machine import MEASURED, SHOWN, SHOWN_WITHIN, hash_source, source

ROOT = Path(zoo.__file__).parent


def test_every_part_of_zoo_is_either_measured_or_shown():
    modules = [path.stem for path in ROOT.glob("*.py")]
    packages = {path.relative_to(ROOT).parts[0] for path in ROOT.glob("*/**/*.py")}
    assert sorted([*MEASURED, *SHOWN]) == sorted([*modules, *packages])


@pytest.mark.parametrize("name", SHOWN_WITHIN)
def test_what_is_shown_within_a_measured_part_exists(name):
    path = ROOT / name
    assert path.is_dir() if name.endswith("/") else path.is_file()
    assert name.partition("/")[0] in MEASURED


def _copy(folder):
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT, folder / "zoo", ignore=ignored))


def test_the_hash_depends_on_measured_files_alone(tmp_path):
    copy = _copy(tmp_path)
    measured = ("version.py", "torch/_train.py", "study/timing.py", "parity/check.py")
    for name in measured:
        before = hash_source(copy)
        path = copy / name
        path.write_text(path.read_text() + "# changed\n")
        assert hash_source(copy) != before, name
    shown = ("__init__.py", "cli/compare.py", "study/terminal.py", "training/plots.py")
    before = hash_source(copy)
    for name in (*shown, "study/report/__init__.py"):
        path = copy / name
        path.write_text(path.read_text() + "\n")
        assert hash_source(copy) == before, name


def test_the_hash_depends_on_names_too(tmp_path):
    copy = _copy(tmp_path)
    before = hash_source(copy)
    (copy / "study/timing.py").rename(copy / "study/clock.py")
    assert hash_source(copy) != before
    assert len(source()) == len(before) == 16
