"""The version of zoo, and those of what it computes with."""

from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

import zoo
from zoo import version


@pytest.fixture(autouse=True)
def _anew():
    version.versions.cache_clear()
    yield
    version.versions.cache_clear()


def test_the_front_door_has_it():
    assert zoo.__version__ == version.__version__
    assert all(part.isdecimal() for part in version.__version__.split("."))


def test_versions_are_those_of_the_packages_themselves():
    found = version.versions()
    assert found["numpy"] == np.__version__
    assert set(found) <= set(version.PACKAGES)


def test_packages_that_are_not_installed_are_left_out(monkeypatch):
    def of(package):
        if package.startswith("jax"):
            raise PackageNotFoundError(package)
        return "1.2"

    monkeypatch.setattr(version, "version", of)
    wanted = ["numpy", "torch", "tensorflow", "keras", "flax", "optax"]
    assert version.versions() == dict.fromkeys(wanted, "1.2")
