"""Old module names of 0.1 still import; docs and examples of 0.1 used these."""

import importlib
import subprocess
import sys
import warnings

import pytest

import zoo
from zoo.moved import MOVED

# Old module -> some names that 0.1 had there, and where they are now.
NAMES = {
    "zoo.arithmetic": {"multiply_adds": "zoo.configs.arithmetic"},
    "zoo.batches": {"Batches": "zoo.data.batches"},
    "zoo.callbacks": {
        "Callback": "zoo.training.callbacks",
        "EarlyStopping": "zoo.training.callbacks",
        "JSONLines": "zoo.training.callbacks",
        "LRLogger": "zoo.training.callbacks",
        "NaNGuard": "zoo.training.callbacks",
        "ProgressBar": "zoo.training.callbacks",
        "TensorBoard": "zoo.training.callbacks",
    },
    "zoo.datasets": {
        "Dataset": "zoo.data",
        "from_arrays": "zoo.data",
        "load": "zoo.data",
        "names": "zoo.data",
        "overrides": "zoo.data",
        "picture": "zoo.data",
        "text": "zoo.data",
        "usual": "zoo.data",
    },
    "zoo.masks": {"keep": "zoo.spec.masks", "step_key": "zoo.spec.masks"},
    "zoo.metrics": {"Tally": "zoo.spec.metrics", "losses": "zoo.spec.metrics"},
    "zoo.numpy_reference": {"gradients": "zoo.learn.numpy_reference"},
    "zoo.recipe": {"Recipe": "zoo.spec.recipe"},
    "zoo.runs": {"Checkpoint": "zoo.training.folder"},
    "zoo.train": {
        "evaluate": "zoo.training.evaluation",
        "fit": "zoo.training.fit",
        "resume": "zoo.training.resume",
    },
    "zoo.weights": {
        "convert": "zoo.files.weights",
        "load": "zoo.files.weights",
        "load_state": "zoo.files.weights",
        "save": "zoo.files.weights",
        "state": "zoo.files.weights",
    },
}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Forget the old modules, as in a fresh process."""
    for name in MOVED:
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delattr(zoo, name.removeprefix("zoo."), raising=False)


def run(code, *options):
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True)


def test_every_old_module_is_tested():
    assert NAMES.keys() == MOVED.keys()


@pytest.mark.parametrize("old", MOVED)
def test_an_old_module_gives_the_same_objects_and_warns_once(old):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = importlib.import_module(old)
        importlib.import_module(old)
    [warning] = [w for w in caught if w.category is DeprecationWarning]
    for new in MOVED[old]:
        assert new in str(warning.message)
    for name, home in NAMES[old].items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)


def test_the_warning_is_for_the_line_with_the_import():
    with pytest.warns(DeprecationWarning, match=r"zoo\.spec\.masks") as caught:
        from zoo import masks
    assert [w.filename for w in caught] == [__file__]
    from zoo.spec.masks import keep

    assert masks.keep is keep


def test_old_classes_under_their_old_names():
    with pytest.warns(DeprecationWarning, match=r"zoo\.training\.folder"):
        from zoo.runs import Folder
    from zoo.training.folder import RunFolder

    assert Folder is RunFolder


def test_old_names_of_the_front_door_are_the_front_door():
    with pytest.warns(DeprecationWarning, match="the old name goes with"):
        from zoo import datasets, recipe, train, weights
    assert recipe.Recipe is zoo.Recipe
    assert datasets.Dataset is zoo.Dataset
    for module, names in (
        (train, ("evaluate", "fit", "resume")),
        (weights, ("convert", "load", "load_state", "save", "state")),
    ):
        assert all(getattr(module, name) is getattr(zoo, name) for name in names)


def test_a_fresh_process_finds_old_names_and_warns_only_where_they_are_used():
    assert run("import zoo", "-W", "error::DeprecationWarning").returncode == 0
    done = run("from zoo.recipe import Recipe; import zoo; print(Recipe is zoo.Recipe)")
    assert done.stdout.split() == ["True"]
    assert "<string>:1: DeprecationWarning: zoo.recipe is now zoo.spec" in done.stderr
    assert done.stderr.count("DeprecationWarning") == 1
    done = run("import zoo.recipe", "-W", "error::DeprecationWarning")
    assert done.returncode == 1
    assert "DeprecationWarning" in done.stderr


@pytest.mark.parametrize("name", ["zoo.never", "zoo.datasets.never", "zoo.data.never"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_name_that_never_existed_is_no_module(name):
    with pytest.raises(ModuleNotFoundError, match="never"):
        importlib.import_module(name)
