"""`zoo predict`: what a trained model says of pictures, of numbers, or after a text."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import datasets
from ..errors import FileError, InputError
from ..models import predict
from ..weights import atomically
from . import _options, _trained
from ._trained import Trained

INK = ("digits", "mnist")  # data of white ink on black


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
@_trained.options
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
    kinds = bool(files) + bool(values) + (prompt is not None)
    if kinds != 1:
        raise click.UsageError("Give pictures, --values or --prompt.")
    if out is not None and len(files) != 1:
        raise click.UsageError("--out is for the mask of one picture.")
    trained = _trained.open_run(run, backend, device, step, best, data)
    if not trained.classes:
        trained = trained._replace(classes=_trained.dataset(trained, data_path).classes)
    if prompt is not None:
        text = _continue(trained, prompt, length, temperature, top_k, seed)
        if as_json:
            text = json.dumps({"prompt": prompt, "text": text}, indent=2)
        click.echo(text)
        return
    told: list[dict[str, Any]] = []
    for file in files:
        if file.suffix == ".csv":
            told += _numbers(trained, _csv(file), str(file), top)
        else:
            told.append(_picture(trained, file, invert, out, top))
    for row in values:
        told += _numbers(trained, _row(row), row, top)
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    for found in told:
        click.echo(f"{found['input']}: {_words(found)}")


def _words(found: dict[str, Any]) -> str:
    if "mask" in found:
        shares = (f"{c['class']} {c['share']:.1%}" for c in found["classes"])
        return f"mask {found['mask']}, {', '.join(shares)}"
    if "values" in found:
        return ", ".join(f"{value:.6g}" for value in found["values"])
    return ", ".join(f"{c['class']} {c['probability']:.1%}" for c in found["classes"])


def _continue(
    trained: Trained,
    prompt: str,
    length: int,
    temperature: float,
    top_k: int | None,
    seed: int,
) -> str:
    from ..datasets.text import Alphabet
    from ..generation import generate

    if trained.data != "text":
        raise InputError(
            f"--prompt is for a model of text; this one learned {trained.data}."
        )
    alphabet = Alphabet("".join(trained.classes))
    ids = generate(
        trained.model,
        alphabet.encode(prompt),
        length,
        temperature=temperature,
        top_k=top_k,
        seed=seed,
    )
    return alphabet.decode(ids)


def _scores(trained: Trained, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the probabilities (N, …, K) of the classes, or for mse the outputs."""
    from ..train import loss_of

    z = np.asarray(predict(trained.model, inputs), np.float64)
    loss = loss_of(trained.model, trained.recipe)
    if loss == "mse":
        return z
    if loss == "bce":
        p = 0.5 * (1 + np.tanh(z / 2))  # the sigmoid, without overflow
        return np.concatenate([1 - p, p], -1) if p.shape[-1] == 1 else p
    shares = np.exp(z - z.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def _ranked(trained: Trained, scores: np.ndarray, top: int) -> dict[str, Any]:
    """Return the classes of one example (K,), the likeliest first."""
    if len(scores) != len(trained.classes):  # of an mse, or of a wider head
        return {"values": scores.tolist()}
    order = np.argsort(-scores, kind="stable")[:top]
    return {
        "classes": [
            {"class": trained.classes[i], "probability": float(scores[i])}
            for i in order
        ]
    }


# Numbers


def _row(text: str) -> np.ndarray:
    try:
        return np.array([[float(part) for part in text.split(",")]], np.float32)
    except ValueError:
        raise InputError(f"--values takes numbers, 1.5,2,…; got {text!r}.") from None


def _csv(path: Path) -> np.ndarray:
    try:
        return np.loadtxt(path, np.float32, delimiter=",", ndmin=2)
    except OSError as error:
        reason = error.strerror or "no such file"
        raise FileError(f"cannot read {path}: {reason}.") from None
    except ValueError as error:
        raise FileError(f"{path} must hold rows of numbers: {error}.") from None


def _numbers(
    trained: Trained, rows: np.ndarray, name: str, top: int
) -> list[dict[str, Any]]:
    spec = trained.model.config.inputs()[0]
    if len(spec.shape) != 1 or rows.shape[1] != spec.shape[0]:
        axes = "x".join(map(str, spec.shape))
        raise InputError(f"the model takes {axes} numbers; got {rows.shape[1]}.")
    if trained.data == "breast_cancer":
        notes = _trained.dataset(trained, None).notes
        rows = (rows - notes["mean"]) / notes["deviation"]
        rows = rows.astype(np.float32)
    scores = _scores(trained, (rows,))
    names = [name] if len(rows) == 1 else [f"{name}:{i + 1}" for i in range(len(rows))]
    return [{"input": n, **_ranked(trained, row, top)} for n, row in zip(names, scores)]


# Pictures


def _picture(
    trained: Trained, path: Path, invert: bool | None, out: Path | None, top: int
) -> dict[str, Any]:
    assert trained.data is not None
    config = trained.model.config
    inputs = datasets.picture(path, trained.data, config)  # or the error for this file
    if invert or (invert is None and trained.data in INK):
        with tempfile.TemporaryDirectory() as folder:
            negative = Path(folder, "negative.png")
            if _write_negative(path, negative, sure=invert is True):
                inputs = datasets.picture(negative, trained.data, config)
    [scores] = _scores(trained, inputs)
    if scores.ndim == 1:
        return {"input": str(path), **_ranked(trained, scores, top)}
    out = out or path.with_name(f"{path.stem}.mask.png")
    return {"input": str(path), **_mask(trained, scores.argmax(-1), path, out)}


def _write_negative(path: Path, negative: Path, sure: bool) -> bool:
    """Write a picture's negative if sure, or if its edge is light; return whether."""
    from PIL import Image, ImageOps

    with Image.open(path) as picture:
        white = Image.new("RGBA", picture.size, "white")  # behind what is transparent
        flat = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    grey = np.asarray(flat.convert("L"), np.float32)
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if not sure and edge.mean() < 128:
        return False
    if not sure:
        told = "looks dark on light, so its negative is taken; --no-invert leaves it"
        click.echo(f"zoo: note: {path} {told}", err=True)
    ImageOps.invert(flat).save(negative)
    return True


def _mask(trained: Trained, ids: np.ndarray, path: Path, out: Path) -> dict[str, Any]:
    """Write the mask (H, W) in grey, of the picture's size; return what it shows.

    Of a picture of another form the model sees the middle: beside it the mask is black.
    """
    from PIL import Image

    count = len(trained.classes)
    grey = (ids * (255 // (count - 1))).astype(np.uint8)
    with Image.open(path) as picture:
        width, height = picture.size
    scale = min(width / ids.shape[1], height / ids.shape[0])
    size = round(scale * ids.shape[1]), round(scale * ids.shape[0])
    whole = Image.new("L", (width, height))
    mask = Image.fromarray(grey).resize(size, Image.Resampling.NEAREST)
    whole.paste(mask, ((width - size[0]) // 2, (height - size[1]) // 2))
    atomically(out, lambda temporary: whole.save(temporary, "PNG"))
    shares = np.bincount(ids.ravel(), minlength=count) / ids.size
    classes = [
        {"class": name, "share": float(share)}
        for name, share in zip(trained.classes, shares)
    ]
    return {"mask": str(out), "classes": classes}
