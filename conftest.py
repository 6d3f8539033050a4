"""Settings of every test: quiet frameworks, one thread each, memory given back."""

import ctypes
import gc
import os
import sys

import pytest

# Two test processes share two cores: each framework gets one thread.
for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(autouse=True, scope="module")
def _give_back():
    """Free what a module's tests compiled: a whole run would hold 10 GB of programs."""
    yield
    if jax := sys.modules.get("jax"):
        jax.clear_caches()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
