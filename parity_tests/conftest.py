"""Settings of every proof: quiet frameworks, one thread per test process."""

import os

# Two test processes share two cores: each framework gets one thread.
for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_terminal_summary(terminalreporter):
    """Print the score of the mutation tests."""
    caught, missed = (
        [
            r
            for r in terminalreporter.getreports(outcome)
            if r.when == "call" and "test_planted_mistake_is_caught" in r.nodeid
        ]
        for outcome in ("passed", "failed")
    )
    if caught or missed:
        total = len(caught) + len(missed)
        terminalreporter.write_line(
            f"planted porting mistakes caught: {len(caught)} of {total}"
        )
