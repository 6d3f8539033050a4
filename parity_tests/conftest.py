"""Prints the scores of the mutation tests."""

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
