"""A finished run and a finished study, which commands read."""

import pytest

from tests.cli.invoked import in_process, run
from tests.cli.runs import LENGTH, TINY
from zoo.study import results


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run: its folder, and what `zoo train` printed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, run("train", *TINY, *LENGTH, "--out", folder)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Return a small study of every backend, with its folder; trained, too.

    Its processes compile with all of XLA's optimisation, as users' do.
    """
    out = tmp_path_factory.mktemp("compare") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS", raising=False)
        patch.delenv("XLA_FLAGS", raising=False)
        done = in_process(
            "compare", "cnn", "--set", "widths=[4,6]", "--set", "image_size=8", "--set",
            "pools=1", "--batch-sizes", "1,4", "--threads", 1, "--data", "digits",
            "--train", "--steps", 12, "--evaluate-every", 6, "--target", 0.05,
            "--out", out,
        )  # fmt: skip
    return done, results.read(out)[0], out
