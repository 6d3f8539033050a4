"""What `zoo compare` and `zoo bench` share: options, the run, and its tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ..registry import BACKENDS
from . import _terminal

if TYPE_CHECKING:
    from rich.console import Console

    from ..study.plan import Plan
    from ..study.results import Study

columns = click.option(
    "--backends",
    metavar="torch,tf:xla,…",
    help="Frameworks, each with its mode after a colon unless it is the default;"
    f" tf:all is every mode.  [{','.join(BACKENDS)}]",
)
batch_sizes = click.option("--batch-sizes", metavar="1,32", help="Of the timed steps.")
threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Of each process.  [all cores]",
)
device = click.option("--device", help="cpu, gpu, cuda:1 …  [cpu]")
engine = click.option(
    "--engine",
    "engine_name",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Run on this machine, or on the machines of a Ray cluster.",
)
address = click.option(
    "--address", help="Of a running Ray cluster.  [one is started here]"
)


def changes(options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a Plan that the command line sets."""
    from ..study import plan

    fields: dict[str, Any] = {}
    if options.get("backends"):
        fields["columns"] = plan.columns(_words(options["backends"]))
    if options.get("baseline"):
        fields["baseline"] = plan.one_column(options["baseline"])
    for name in ("batch_sizes", "seeds"):
        if options.get(name) is not None:
            fields[name] = _integers(name, options[name])
    for name in ("threads", "target", "device"):
        if options.get(name) is not None:
            fields[name] = options[name]
    if options.get("train"):
        fields["train"] = True
    return fields


def run(plan: Plan, out: str | os.PathLike[str], **options: Any) -> Study:
    """Run a study as `zoo.study.driver.compare` does, with a progress bar."""
    from ..study import driver

    total = len(plan.groups())
    with _terminal.progress(total, plain=True) as bar:
        return driver.compare(
            plan,
            out,
            progress=lambda done, _, text: bar(min(done, total - 1), text),
            **options,
        )


def print_tables(console: Console, study: Study) -> None:
    """Print a study's tables, then its problems in red."""
    from ..study import terminal

    for table in terminal.tables(study):
        _terminal.print_table(console, table)
    for line in terminal.problems(study):
        _terminal.print_text(console, line, "red")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _integers(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in _words(text))
    except ValueError:
        flag = f"--{name.replace('_', '-')}"
        raise click.UsageError(
            f"{flag} wants integers with commas between; got {text!r}."
        ) from None
