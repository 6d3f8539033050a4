"""The version of zoo, and those of the packages that compute."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

__version__ = "0.1.0"

PACKAGES = ("numpy", "torch", "tensorflow", "keras", "jax", "jaxlib", "flax", "optax")


@cache
def versions() -> dict[str, str]:
    """Return the installed version of each of PACKAGES; without those not installed."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
