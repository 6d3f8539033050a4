"""`zoo evaluate`: loss and measures of a trained model on the test examples."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..registry import TITLES, backend_of
from . import _options, _terminal, _trained


@click.command(name="evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@_trained.options
@_options.as_json
def command(
    run: Path,
    step: int | None,
    best: bool,
    data: str | None,
    data_path: Path | None,
    backend: str | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Tell loss and measures of a trained model.

    RUN is the folder of a run, or with --data a file that zoo saved. The test examples
    are those that the run left out.
    """
    trained = _trained.open_run(run, backend, device, step, best, data)
    from ..loop import measure
    from ..train import loss_of

    dataset = _trained.dataset(trained, data_path)
    with _terminal.progress(1) as bar:
        bar(0, f"{len(dataset.test)} examples")
        loss = loss_of(trained.model, trained.recipe)
        found = measure(trained.model, dataset, dataset.test, loss)
    room = backend_of(trained.model)
    if as_json:
        told = {
            "path": str(run),
            "step": trained.step,
            "backend": room,
            "data": trained.data,
            "examples": len(dataset.test),
        }
        click.echo(json.dumps(told | _trained.plain(found), indent=2))
        return
    at = f", step {trained.step}" if trained.step else ""
    click.echo(
        f"{type(trained.model).__name__} on {trained.data} in {TITLES[room]}{at},"
        f" {len(dataset.test)} examples: {_trained.measures(found)}"
    )
