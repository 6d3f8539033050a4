"""Settings of every test: quiet frameworks, one thread each, programs compiled once."""

import ctypes
import gc
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

# Two test processes share two cores: each framework gets one thread.
for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# XLA takes far longer to compile a small network than to run it. Without optimisation,
# and with its older code generator, it takes a quarter of the time; the numbers are the
# same. Tests that run long ask for `optimised`; the study in tests/cli/conftest.py is
# compiled as users compile. XLA aborts at an unknown flag: hence the version.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if version("jaxlib") == "0.10.2":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

_MOST = 4 * 2**30  # bytes that a test process may hold before it gives memory back


_ROOT = Path(__file__).parent
# Folders and files of tests/ whose tests take seconds; `slow` ones among them do not.
_QUICK = (
    "configs", "data", "explain", "files", "inference", "learn", "parity", "spec",
    "study", "training", "test_errors.py", "test_layout.py", "test_models.py",
    "test_moved.py", "test_names.py", "test_registry.py", "test_source.py",
    "test_version.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Mark the tests that `make quick` runs."""
    for item in items:
        parts = item.path.relative_to(_ROOT).parts
        if parts[0] == "tests" and parts[1] in _QUICK:
            if item.get_closest_marker("slow") is None:
                item.add_marker(pytest.mark.quick)


def pytest_configure(config):
    """Give JAX a folder for this run, in which all processes share what they compile.

    XLA takes most of the suite's time, and most tests compile what another has compiled
    before: a cached program is found by all that it was compiled from.
    """
    if hasattr(config, "workerinput") or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return  # a worker, which has its parent's folder; or the user's own
    config.zoo_programs = tempfile.mkdtemp(prefix="zoo-programs-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = config.zoo_programs
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def pytest_unconfigure(config):
    """Remove that folder."""
    if folder := getattr(config, "zoo_programs", None):
        shutil.rmtree(folder, ignore_errors=True)
        del os.environ["JAX_COMPILATION_CACHE_DIR"]


@pytest.fixture
def optimised():
    """Let XLA optimise what this test compiles, as it does for users."""
    import jax

    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()
    yield
    jax.config.update("jax_disable_most_optimizations", True)
    jax.clear_caches()


@pytest.fixture(autouse=True, scope="module")
def _give_back():
    """Free what a module's tests compiled, where this process holds too much memory."""
    yield
    if _memory() < _MOST:
        return
    if jax := sys.modules.get("jax"):
        jax.clear_caches()
    if keras := sys.modules.get("keras"):
        keras.backend.clear_session(free_memory=False)
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def _memory() -> int:
    """Return the bytes that this process holds; where the system does not say, all."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return _MOST
    return pages * os.sysconf("SC_PAGE_SIZE")
