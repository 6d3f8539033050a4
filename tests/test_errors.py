"""Errors: what they are to Python, and the hints in them."""

import pytest

from zoo import errors
from zoo.errors import ZooError


@pytest.mark.parametrize(
    "name, kind",
    [
        ("ConfigError", ValueError),
        ("UnknownNameError", KeyError),
        ("MissingBackendError", ImportError),
        ("InputError", ValueError),
        ("StateError", ValueError),
        ("FileError", OSError),
        ("MissingPackageError", ImportError),
        ("TrainingDiverged", ArithmeticError),
    ],
)
def test_each_error_is_the_zoos_and_one_of_pythons(name, kind):
    error = getattr(errors, name)("what is wrong")
    assert isinstance(error, ZooError)
    assert isinstance(error, kind)
    assert str(error) == "what is wrong"  # KeyError alone would quote it


def test_the_nearest_name_is_a_hint():
    assert errors.did_you_mean("unett", ["unet", "vit"]) == " Did you mean 'unet'?"
    assert errors.did_you_mean("xyz", ["unet", "vit"]) == ""
    assert errors.did_you_mean(3, ["unet"]) == ""


def test_an_unknown_name_gets_a_hint_or_the_known_names():
    known = ["b", "a"]
    assert str(errors.unknown("dtype", "zzz", known)) == (
        "unknown dtype 'zzz'. Known: a, b."
    )
    many = [f"name{i:02}" for i in range(13)]
    told = str(errors.unknown("thing", "?", many))
    assert told.endswith("name10, name11, ….")
    assert "Known" not in str(errors.unknown("thing", "name5", many))
