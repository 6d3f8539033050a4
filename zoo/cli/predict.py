"""`zoo predict`: what a trained model says of pictures, of numbers, or after a text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..errors import InputError
from ..inference import answers
from . import _model, _options


@click.command(name="predict")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How many classes to tell.",
)
@click.option(
    "--invert/--no-invert",
    default=None,
    help="Make a negative first; for digits known from the edge of the picture.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="For the mask of a picture; else beside it.",
)
@click.option(
    "--values",
    multiple=True,
    metavar="1.5,2,…",
    help="Numbers as the data has them. Repeatable; or a file that ends in .csv.",
)
@click.option("--prompt", metavar="TEXT", help="Text to go on with.")
@click.option(
    "--length",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    help="Characters to add to the text.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="0 takes the likeliest character.",
)
@click.option("--top-k", type=click.IntRange(min=1), help="Draw among so many.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the draws.",
)
@_model.run_options
@_options.as_json
def command(
    run: Path,
    files: Sequence[Path],
    top: int,
    invert: bool | None,
    out: Path | None,
    values: Sequence[str],
    prompt: str | None,
    length: int,
    temperature: float,
    top_k: int | None,
    seed: int,
    step: int | None,
    best: bool,
    data: str | None,
    data_path: Path | None,
    backend: str | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Let a trained model predict.

    RUN is the folder of a run, or with --data a file that zoo saved. FILES are
    pictures, which become what the model was trained on: a digit should fill its
    picture. A model of masks writes a mask beside each.
    """
    if bool(files) + bool(values) + (prompt is not None) != 1:
        raise click.UsageError("Give pictures, --values or --prompt.")
    if out is not None and len(files) != 1:
        raise click.UsageError("--out is for the mask of one picture.")
    trained = _model.open_run(run, backend, device, step, best, data)
    if not trained.classes:
        trained = trained._replace(classes=trained.dataset(data_path).classes)
    if prompt is not None:
        how: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "seed": seed}
        text = answers.continued(trained, prompt, length, **how)
        if as_json:
            text = json.dumps({"prompt": prompt, "text": text}, indent=2)
        click.echo(text)
        return
    replies: list[dict[str, Any]] = []

    def of_rows(rows: np.ndarray, name: str) -> None:
        one = len(rows) == 1
        for i, reply in enumerate(answers.of_numbers(trained, rows, top), 1):
            replies.append({"input": name if one else f"{name}:{i}", **reply})

    for file in files:
        if file.suffix == ".csv":
            of_rows(answers.read_csv(file), str(file))
        else:
            reply = answers.of_picture(trained, file, invert=invert, top=top, out=out)
            replies.append({"input": str(file), **reply})
    for value in values:
        of_rows(_row(value), value)
    if as_json:
        click.echo(json.dumps(replies, indent=2))
        return
    for reply in replies:
        click.echo(f"{reply['input']}: {_words(reply)}")


def _words(reply: dict[str, Any]) -> str:
    if "mask" in reply:
        shares = (f"{c['class']} {c['share']:.1%}" for c in reply["classes"])
        return f"mask {reply['mask']}, {', '.join(shares)}"
    if "values" in reply:
        return ", ".join(f"{value:.6g}" for value in reply["values"])
    return ", ".join(f"{c['class']} {c['probability']:.1%}" for c in reply["classes"])


def _row(text: str) -> np.ndarray:
    try:
        return np.array([[float(part) for part in text.split(",")]], np.float32)
    except ValueError:
        raise InputError(f"--values takes numbers, 1.5,2,…; got {text!r}.") from None
