"""The options that `zoo compare` and `zoo bench` share."""

from __future__ import annotations

from typing import Any

import click

from ..registry import BACKENDS

columns = click.option(
    "--backends",
    metavar="torch,tf:xla,…",
    help="Frameworks, each with a mode after a colon if it is not the usual one;"
    f" `all` is every mode.  [{','.join(BACKENDS)}]",
)
batch_sizes = click.option("--batch-sizes", metavar="1,32", help="Of the timed steps.")
threads = click.option(
    "--threads", type=click.IntRange(min=1), help="Of each process.  [all cores]"
)
device = click.option("--device", help="cpu, gpu, cuda:1 …  [cpu]")


def changes(options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a Plan that the command line sets."""
    from ..study import plan

    found: dict[str, Any] = {}
    if options.get("backends"):
        found["columns"] = plan.columns(_words(options["backends"]))
    if options.get("baseline"):
        found["baseline"] = plan.one_column(options["baseline"])
    for name in ("batch_sizes", "seeds"):
        if options.get(name) is not None:
            found[name] = _integers(name, options[name])
    for name in ("threads", "target", "device"):
        if options.get(name) is not None:
            found[name] = options[name]
    if options.get("train"):
        found["train"] = True
    return found


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
