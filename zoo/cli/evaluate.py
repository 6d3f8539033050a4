"""`zoo evaluate`: loss and metrics of a trained model on the test examples."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..registry import TITLES, backend_of
from ..training.rows import plain
from . import _model, _options, _terminal


@click.command(name="evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@_model.run_options
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
    """Compute the loss and metrics of a trained model.

    RUN is the folder of a run, or with --data a file that zoo saved. The test examples
    are those that the run did not train on.
    """
    trained = _model.open_run(run, backend, device, step, best, data)
    from ..training.evaluation import evaluate_on

    dataset = trained.dataset(data_path)
    with _terminal.progress(1) as bar:
        bar(0, f"{len(dataset.test)} examples")
        metrics = evaluate_on(trained.model, dataset, dataset.test, trained.loss)
    backend = backend_of(trained.model)
    if as_json:
        about = {
            "path": str(run),
            "step": trained.step,
            "backend": backend,
            "data": trained.data,
            "examples": len(dataset.test),
        }
        click.echo(json.dumps(about | plain(metrics), indent=2))
        return
    at = f", step {trained.step}" if trained.step else ""
    click.echo(
        f"{type(trained.model).__name__} on {trained.data} in {TITLES[backend]}{at},"
        f" {len(dataset.test)} examples: {_model.metrics(metrics)}"
    )
