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

# Options that --resume allows: they change how the run is carried out, not the run.
_BESIDE = (
    "resume", "data_path", "backend", "device", "checkpoint_every", "keep",
    "compile", "tensorboard", "as_json",
)  # fmt: skip

_run_options = _options.add(
    click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Folder for the run.",
    ),
    click.option(
        "--resume",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="RUN",
        help="Continue the run in this folder, in any backend.",
    ),
    click.option(
        "--init-from",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Start from the weights of a saved model, or of a run's best checkpoint;"
        " those of another shape, such as the head's, start anew.",
    ),
    click.option(
        "--checkpoint-every",
        type=click.IntRange(min=1),
        metavar="STEPS",
        help="Steps between checkpoints; by default one at each evaluation.",
    ),
    click.option(
        "--keep",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        help="Number of last checkpoints to keep, beside the best.",
    ),
    click.option("--overwrite", is_flag=True, help="Remove another run in FOLDER."),
    click.option(
        "--compile", is_flag=True, help="Use torch.compile, or XLA with Keras."
    ),
    click.option(
        "--tensorboard",
        is_flag=True,
        help="Write TensorBoard event files to FOLDER/tensorboard.",
    ),
    _options.as_json,
)


@click.command(name="train", cls=_recipe.RecipeCommand)
@click.argument("name", required=False)
@_model.preset_options
@_run_options
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
    """Train a preset and keep the run in a folder.

    The data are fitted to the model, and its classes and channels to the data. --seed
    is also the seed of the weights. Ctrl-C finishes the current step, writes a
    checkpoint and ends with exit code 130.
    """
    if resume is not None:
        _check_beside_resume(ctx)
        folder, trained = resume, _model.open_run(resume, backend, device)
        model, recipe = trained.model, trained.recipe
        dataset = trained.dataset(data_path)
    else:
        name, folder = _check_new(name, out)
        recipe = _recipe.resolve(recipe_file, flags)
        _check_free(folder, overwrite)
        start = _model.resolve(name, small, changes, data, init_from)
        model, dataset = _model.build(start, recipe, backend, device, data_path)
    from ..training.fit import fit

    watch, callbacks = _callbacks(folder, tensorboard, overwrite)
    options: dict[str, Any] = {
        "checkpoint_every": checkpoint_every,
        "keep": keep,
        "resume": resume is not None,
        "overwrite": overwrite,
        "compile": compile,
    }
    history = fit(model, dataset, recipe, callbacks=callbacks, out=folder, **options)
    (_print_json if as_json else _print)(model, history, folder, watch)
    if history.stopped == watch.reason:
        click.echo(f"zoo: continue with: zoo train --resume {folder}", err=True)
        ctx.exit(INTERRUPTED)


def _check_beside_resume(ctx: click.Context) -> None:
    """Refuse options that would change the run that --resume continues."""
    surplus = [
        option.opts[0] if isinstance(option, click.Option) else "NAME"
        for option in ctx.command.params
        if option.name not in _BESIDE
        and ctx.get_parameter_source(option.name or "") == ParameterSource.COMMANDLINE
    ]
    if surplus:
        raise click.UsageError(
            f"--resume continues a run as it is: leave out {', '.join(surplus)}."
        )


def _check_new(name: str | None, out: Path | None) -> tuple[str, Path]:
    """Return the preset and the folder of a new run, or raise the usage error."""
    if name is None:
        raise click.UsageError("Give the preset to train, or --resume RUN.")
    if out is None:
        raise click.UsageError(
            "Give --out FOLDER: without it nothing of the run would be kept."
        )
    return name, out


def _check_free(out: Path, overwrite: bool) -> None:
    """Refuse a run's folder before anything slow begins; `fit` checks it again."""
    if (out / "run.json").exists() and not overwrite:
        raise FileError(
            f"{out} holds a run: continue it with --resume {out}, choose another"
            " folder, or add --overwrite."
        )


def _callbacks(
    folder: Path, tensorboard: bool, overwrite: bool
) -> tuple[_Watch, list[Callback]]:
    """Return the callback for Ctrl-C, and all callbacks."""
    events = folder / "tensorboard"
    watch = _Watch()
    progress = ProgressBar() if sys.stderr.isatty() else _Lines()
    callbacks: list[Callback] = [watch, progress]
    if tensorboard:
        callbacks.append(TensorBoard(events))
    if overwrite and (folder / "run.json").exists():  # `fit` removes the other files
        shutil.rmtree(events, ignore_errors=True)
    return watch, callbacks


class _Lines(Callback):
    """Prints each evaluation as a line on stderr."""

    def evaluated(self, run: Run, row: Row) -> None:
        position = f"step {row['step']}/{run.steps}, epoch {row['epoch']}"
        click.echo(f"{position}: {row['split']} {_model.metrics(row)}", err=True)


class _Watch(Callback):
    """Ends a run at Ctrl-C after the current step; at a second Ctrl-C, at once."""

    reason = "interrupted"
    run: Run | None = None

    def begin(self, run: Run) -> None:
        self.run, self.first = run, run.step
        if run.history.stopped == self.reason:  # last time; now it continues
            run.history.stopped = None
        self._before = signal.signal(signal.SIGINT, self._stop)

    def _stop(self, *args: Any) -> None:
        signal.signal(signal.SIGINT, self._before)
        if self.run is not None:
            self.run.stop(self.reason)

    def end(self, run: Run) -> None:
        signal.signal(signal.SIGINT, self._before)


def _print_json(model: Model, history: History, folder: Path, watch: _Watch) -> None:
    run = watch.run
    assert run is not None
    loss, test = _last_rows(history)
    summary = {
        "folder": str(folder),
        "model": type(model).__name__,
        "backend": backend_of(model),
        "data": run.data.name,
        "steps": run.step,
        "of": run.steps,
        "loss": loss,
        "test": test and plain(test),
        "best": history.best,
        "seconds": history.seconds,
        "stopped": history.stopped,
        "checkpoint": str(run.last_checkpoint),
    }
    click.echo(json.dumps(summary, indent=2))


def _print(model: Model, history: History, folder: Path, watch: _Watch) -> None:
    run = watch.run
    assert run is not None
    loss, test = _last_rows(history)
    click.echo(
        f"{type(model).__name__} on {run.data.name} in {TITLES[backend_of(model)]}:"
        f" step {run.step} of {run.steps}, {history.seconds:.1f} s in training steps"
    )
    if loss is not None:
        click.echo(f"  train       loss {loss:.4g}")
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


def _last_rows(history: History) -> tuple[float | None, Row | None]:
    """Return the last training loss and the last evaluation, if there are any."""
    trained = [row for row in history.rows if row["split"] == "train"]
    return (
        trained[-1]["loss"] if trained else None,
        history.evaluations[-1] if history.evaluations else None,
    )
