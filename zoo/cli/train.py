"""`zoo train`: a run from its first step, or from its last checkpoint on."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..errors import FileError
from ..registry import TITLES, backend_of
from ..training.callbacks import Callback, ProgressBar, TensorBoard
from ..training.rows import Row, plain
from . import INTERRUPTED, _model, _options, _recipe

if TYPE_CHECKING:
    from ..backend import Model
    from ..training.history import History, Run

# What may stand beside --resume: it changes how the run is carried on, not the run.
_BESIDE = (
    "resume", "data_path", "backend", "device", "checkpoint_every", "keep",
    "compile", "tensorboard", "as_json",
)  # fmt: skip


@click.command(name="train", cls=_recipe.RecipeCommand)
@click.argument("name", required=False)
@_model.preset_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Of the run.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="RUN",
    help="Go on with the run in this folder; --backend may be another.",
)
@click.option(
    "--init-from",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Begin with the weights of a saved model, or of a run's best checkpoint;"
    " those of another shape, such as the head's, start anew.",
)
@click.option(
    "--checkpoint-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="From one checkpoint to the next; else at each evaluation.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Of the last checkpoints, beside the best.",
)
@click.option("--overwrite", is_flag=True, help="Remove another run in FOLDER.")
@click.option("--compile", is_flag=True, help="torch.compile, or XLA in Keras.")
@click.option("--tensorboard", is_flag=True, help="Event files in FOLDER/tensorboard.")
@_options.as_json
@_recipe.options()
@click.pass_context
def command(
    ctx: click.Context,
    name: str | None,
    data: str | None,
    backend: str | None,
    out: Path | None,
    resume: Path | None,
    init_from: Path | None,
    checkpoint_every: int | None,
    keep: int,
    overwrite: bool,
    compile: bool,
    tensorboard: bool,
    as_json: bool,
    recipe_file: Path | None,
    data_path: Path | None,
    device: str | None,
    small: bool,
    changes: Sequence[str],
    **flags: Any,
) -> None:
    """Train a preset, and leave a run in a folder.

    Data fit themselves to the model, and the model's classes and channels to the data.
    The seed is that of the weights, too. Exit code 130 after Ctrl-C: the step in
    progress is finished and a checkpoint written.
    """
    if resume is not None:
        _alone(ctx)
        folder, trained = resume, _model.open_run(resume, backend, device)
        model, recipe, dataset = (
            trained.model,
            trained.recipe,
            trained.dataset(data_path),
        )
    elif name is None:
        raise click.UsageError("Give the preset to train, or --resume RUN.")
    elif out is None:
        raise click.UsageError(
            "Give --out FOLDER: without it nothing of the run would be left."
        )
    else:
        folder, recipe = out, _recipe.resolve(recipe_file, flags)
        _free(out, overwrite)
        start = _model.resolve(name, small, changes, data, init_from)
        model, dataset = _model.build(start, recipe, backend, device, data_path)
    from ..training.fit import fit

    watch, events = _Watch(), folder / "tensorboard"
    shown = ProgressBar() if sys.stderr.isatty() else _Lines()
    callbacks: list[Callback] = [watch, shown]
    if tensorboard:
        callbacks.append(TensorBoard(events))
    if overwrite and (folder / "run.json").exists():  # the rest `fit` removes
        shutil.rmtree(events, ignore_errors=True)
    history = fit(
        model,
        dataset,
        recipe,
        callbacks=callbacks,
        out=folder,
        checkpoint_every=checkpoint_every,
        keep=keep,
        resume=resume is not None,
        overwrite=overwrite,
        compile=compile,
    )
    _tell(ctx, model, history, folder, watch, as_json)


def _alone(ctx: click.Context) -> None:
    """Refuse what belongs to the run that --resume goes on with."""
    surplus = [
        option.opts[0] if isinstance(option, click.Option) else "NAME"
        for option in ctx.command.params
        if option.name not in _BESIDE
        and ctx.get_parameter_source(option.name or "") == ParameterSource.COMMANDLINE
    ]
    if surplus:
        raise click.UsageError(
            f"--resume goes on with a run as it is: leave out {', '.join(surplus)}."
        )


def _free(out: Path, overwrite: bool) -> None:
    """Refuse a run's folder before anything slow begins; `fit` checks it again."""
    if (out / "run.json").exists() and not overwrite:
        raise FileError(
            f"{out} holds a run: go on with --resume {out}, choose another folder, or"
            " add --overwrite."
        )


class _Lines(Callback):
    """Tells each evaluation in a line on stderr."""

    def evaluated(self, run: Run, row: Row) -> None:
        place = f"step {row['step']}/{run.steps}, epoch {row['epoch']}"
        click.echo(f"{place}: {row['split']} {_model.metrics(row)}", err=True)


class _Watch(Callback):
    """Ends a run at Ctrl-C after the step in progress; at a second one, at once."""

    reason = "interrupted"
    run: Run | None = None

    def begin(self, run: Run) -> None:
        self.run, self.first = run, run.step
        if run.history.stopped == self.reason:  # then; now it goes on
            run.history.stopped = None
        self._before = signal.signal(signal.SIGINT, self._stop)

    def _stop(self, *args: Any) -> None:
        signal.signal(signal.SIGINT, self._before)
        if self.run is not None:
            self.run.stop(self.reason)

    def end(self, run: Run) -> None:
        signal.signal(signal.SIGINT, self._before)


def _tell(
    ctx: click.Context,
    model: Model,
    history: History,
    folder: Path,
    watch: _Watch,
    as_json: bool,
) -> None:
    assert watch.run is not None
    run = watch.run
    trained = [row for row in history.rows if row["split"] == "train"]
    last = trained[-1]["loss"] if trained else None
    test = history.evaluations[-1] if history.evaluations else None
    backend = backend_of(model)
    if as_json:
        told = {
            "folder": str(folder),
            "model": type(model).__name__,
            "backend": backend,
            "data": run.data.name,
            "steps": run.step,
            "of": run.steps,
            "loss": last,
            "test": test and plain(test),
            "best": history.best,
            "seconds": history.seconds,
            "stopped": history.stopped,
            "checkpoint": str(run.last_checkpoint),
        }
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(
            f"{type(model).__name__} on {run.data.name} in {TITLES[backend]}: step"
            f" {run.step} of {run.steps}, {history.seconds:.1f} s in training steps"
        )
        if last is not None:
            click.echo(f"  train       loss {last:.4g}")
        if test is not None:
            click.echo(f"  test        {_model.metrics(test)}")
        if history.best is not None:
            best = history.best
            value = f"{best['monitor']} {best['value']:.4g} at step {best['step']}"
            click.echo(f"  best        {value}")
        click.echo(f"  checkpoint  {run.last_checkpoint}")
        if run.step == watch.first:
            click.echo("nothing was left to train")
        if history.stopped:
            click.echo(f"stopped: {history.stopped}")
        else:
            click.echo(f"next: zoo evaluate {folder} --best")
    if history.stopped == watch.reason:
        click.echo(f"zoo: to go on: zoo train --resume {folder}", err=True)
        ctx.exit(INTERRUPTED)
