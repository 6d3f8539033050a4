"""The public names: none of 0.1's is gone."""

import pytest

import zoo
from zoo import explain

NAMES_0_1 = {
    "Callback",
    "Dataset",
    "History",
    "Recipe",
    "Report",
    "ZooError",
    "__version__",
    "backend_of",
    "build",
    "check",
    "config",
    "convert",
    "count_parameters",
    "evaluate",
    "example_inputs",
    "explain",
    "fit",
    "generate",
    "list_models",
    "load",
    "load_state",
    "lr_find",
    "predict",
    "resume",
    "save",
    "state",
    "trace",
}
EXPLAIN_0_1 = {
    "Finding",
    "Maps",
    "diagnose",
    "feature_maps",
    "grad_cam",
    "saliency",
    "statistics",
}


def test_the_front_door_has_the_names_of_0_1():
    assert set(zoo.__all__) == NAMES_0_1
    assert len(zoo.__all__) == len(NAMES_0_1)
    assert set(dir(zoo)) == NAMES_0_1


@pytest.mark.parametrize("name", sorted(NAMES_0_1))
def test_every_name_exists(name):
    assert getattr(zoo, name) is not None


def test_explain_has_the_names_of_0_1():
    assert set(explain.__all__) >= EXPLAIN_0_1
    assert all(hasattr(explain, name) for name in EXPLAIN_0_1)
    assert zoo.explain is explain
