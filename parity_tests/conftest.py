"""Settings of every proof: quiet frameworks, one thread per test process."""

import os

# Two test processes share two cores: each framework gets one thread.
for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


_SCORES = {
    "test_planted_mistake_is_caught": "porting",
    "test_planted_training_mistake_is_caught": "training",
}


def pytest_terminal_summary(terminalreporter):
    """Print the scores of the mutation tests."""
    for test, kind in _SCORES.items():
        caught, missed = (
            sum(
                r.when == "call" and test in r.nodeid
                for r in terminalreporter.getreports(outcome)
            )
            for outcome in ("passed", "failed")
        )
        if total := caught + missed:
            terminalreporter.write_line(
                f"planted {kind} mistakes caught: {caught} of {total}"
            )
