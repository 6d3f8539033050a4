"""`zoo predict`: a trained model's answers to pictures, numbers or a text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..errors import InputError
from ..inference import answers
from ..inference.trained import Trained
from . import _model, _options

_predict_options = _options.add(
    click.option(
        "--top",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        help="Number of likeliest classes to print.",
    ),
    click.option(
        "--invert/--no-invert",
        default=None,
        help="Take the negative of each picture; by default for digits, if the"
        " picture has a light edge.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File for the mask of a picture; by default beside the picture.",
    ),
    click.option(
        "--values",
        multiple=True,
        metavar="1.5,2,…",
        help="Numbers as the data has them. Repeatable; or give a file that ends in"
        " .csv.",
    ),
    click.option("--prompt", metavar="TEXT", help="Text to continue."),
    click.option(
        "--length",
        type=click.IntRange(min=0),
        default=200,
        show_default=True,
        help="Number of characters to add to the text.",
    ),
    click.option(
        "--temperature",
        type=click.FloatRange(min=0),
        default=0.0,
        show_default=True,
        help="Temperature of the draws; 0 takes the likeliest character.",
    ),
    click.option(
        "--top-k",
        type=click.IntRange(min=1),
        help="Draw among this many likeliest characters; among all by default.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Seed of the draws.",
    ),
)


@click.command(name="predict")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@_predict_options
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
    """Predict with a trained model.

    RUN is the folder of a run, or with --data a file that zoo saved. FILES are
    pictures, which are converted to the form of the training data: a digit should fill
    its picture. A segmentation model writes a mask beside each picture.
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
    for file in files:
        replies += _of_file(trained, file, invert=invert, top=top, out=out)
    for value in values:
        replies += _of_rows(trained, _row(value), value, top)
    if as_json:
        click.echo(json.dumps(replies, indent=2))
        return
    for reply in replies:
        click.echo(f"{reply['input']}: {_words(reply)}")


def _of_file(
    trained: Trained, file: Path, *, invert: bool | None, top: int, out: Path | None
) -> list[dict[str, Any]]:
    """Return the answers for a file: one for a picture, one for each row of a .csv."""
    if file.suffix == ".csv":
        return _of_rows(trained, answers.read_csv(file), str(file), top)
    reply = answers.of_picture(trained, file, invert=invert, top=top, out=out)
    return [{"input": str(file), **reply}]


def _of_rows(
    trained: Trained, rows: np.ndarray, name: str, top: int
) -> list[dict[str, Any]]:
    """Return an answer for each row of numbers (N, F)."""
    replies = answers.of_numbers(trained, rows, top)
    one = len(replies) == 1
    return [
        {"input": name if one else f"{name}:{i}", **reply}
        for i, reply in enumerate(replies, 1)
    ]


def _words(reply: dict[str, Any]) -> str:
    """Return an answer as one line of text."""
    if "mask" in reply:
        shares = (f"{c['class']} {c['share']:.1%}" for c in reply["classes"])
        return f"mask {reply['mask']}, {', '.join(shares)}"
    if "values" in reply:
        return ", ".join(f"{value:.6g}" for value in reply["values"])
    return ", ".join(f"{c['class']} {c['probability']:.1%}" for c in reply["classes"])


def _row(text: str) -> np.ndarray:
    """Return the numbers of --values: (1, F), float32."""
    try:
        return np.array([[float(part) for part in text.split(",")]], np.float32)
    except ValueError:
        raise InputError(f"--values takes numbers, 1.5,2,…; got {text!r}.") from None
