"""Predictions of a trained model, in the terms of its data: classes, masks, text.

Every function takes a `Trained`, which knows the classes of its data set.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import data as datasets
from ..data.folders import open_picture
from ..data.text import Alphabet
from ..errors import FileError, InputError
from ..files.atomic import atomically
from ..models import predict
from .generation import generate
from .trained import Trained

if TYPE_CHECKING:
    from PIL.Image import Image

INK = ("digits", "mnist")  # data of white ink on black


def scores(trained: Trained, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the probabilities (N, …, K) of the classes; for mse the outputs."""
    logits = np.asarray(predict(trained.model, inputs), np.float64)
    if trained.loss == "mse":
        return logits
    if trained.loss == "bce":
        p = 0.5 * (1 + np.tanh(logits / 2))  # the sigmoid, without overflow
        return np.concatenate([1 - p, p], -1) if p.shape[-1] == 1 else p
    exp = np.exp(logits - logits.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def ranked(trained: Trained, shares: np.ndarray, top: int) -> dict[str, Any]:
    """Return one example's prediction as JSON values.

    Args:
        trained: the model, and its classes.
        shares: the `scores` of the example, (K,).
        top: how many classes to return, the likeliest first.

    Returns:
        {"classes": [{"class", "probability"}]}, or {"values": [...]} where the outputs
        are not one for each class: an mse, or a head wider than the data.
    """
    if len(shares) != len(trained.classes):
        return {"values": shares.tolist()}
    order = np.argsort(-shares, kind="stable")[:top]
    return {
        "classes": [
            {"class": trained.classes[i], "probability": float(shares[i])}
            for i in order
        ]
    }


# Numbers


def of_numbers(trained: Trained, rows: np.ndarray, top: int) -> list[dict[str, Any]]:
    """Return a prediction for each row of numbers (N, F), in the data set's units.

    Raises InputError for a model of other inputs.
    """
    spec = trained.model.config.inputs()[0]
    if len(spec.shape) != 1 or rows.shape[1] != spec.shape[0]:
        axes = "x".join(map(str, spec.shape))
        raise InputError(f"the model takes {axes} numbers; got {rows.shape[1]}.")
    if trained.data == "breast_cancer":  # trained on standardised measurements
        notes = trained.dataset().notes
        rows = (rows - notes["mean"]) / notes["deviation"]
    rows = rows.astype(np.float32)
    return [ranked(trained, shares, top) for shares in scores(trained, (rows,))]


def read_csv(path: Path) -> np.ndarray:
    """Return the rows of numbers (N, F), float32, of a CSV file without a heading.

    Raises FileError for a file that is missing or holds anything else.
    """
    try:
        return np.loadtxt(path, np.float32, delimiter=",", ndmin=2)
    except OSError as error:
        reason = error.strerror or "no such file"
        raise FileError(f"cannot read {path}: {reason}.") from None
    except ValueError as error:
        raise FileError(f"{path} must hold rows of numbers: {error}.") from None


# Pictures


def picture_inputs(
    trained: Trained, path: str | os.PathLike[str], invert: bool | None = None
) -> tuple[np.ndarray, ...]:
    """Return the inputs (a batch of one) for a picture.

    Args:
        trained: its data set sets the size and the colours of pictures.
        path: of the picture.
        invert: take the picture's negative. None takes it, with a warning, where the
            data set is white ink on black and the picture's edge is light.

    Raises:
        FileError: for a file that is missing, damaged or no picture.
        InputError: for a data set that does not consist of pictures.
    """
    config = trained.model.config
    inputs = datasets.picture(path, trained.data, config)  # raises first
    image = open_picture(path)
    if invert is None and trained.data in INK and _light_edge(image):
        invert = True
        warnings.warn(
            f"{path} looks dark on light, so its negative is taken: --no-invert"
            " (invert=False) leaves it.",
            stacklevel=2,
        )
    if not invert:
        return inputs
    return datasets.picture(_negative(image), trained.data, config)


def of_picture(
    trained: Trained,
    path: Path,
    *,
    invert: bool | None = None,
    top: int = 3,
    out: Path | None = None,
) -> dict[str, Any]:
    """Return the prediction for a picture; a segmentation model also writes its mask.

    Args:
        trained, path, invert: as in `picture_inputs`.
        top: how many classes to return.
        out: file of the mask; None is `NAME.mask.png` beside the picture.

    Returns:
        What `ranked` returns, or `write_mask`.
    """
    [shares] = scores(trained, picture_inputs(trained, path, invert))
    if shares.ndim == 1:
        return ranked(trained, shares, top)
    out = out or path.with_name(f"{path.stem}.mask.png")
    return write_mask(trained, shares.argmax(-1), path, out)


def write_mask(
    trained: Trained, ids: np.ndarray, path: Path, out: Path
) -> dict[str, Any]:
    """Write a mask of ids (H, W) as a grey picture of the original's size.

    The model sees only the middle of a picture of another aspect ratio; outside of it
    the mask is black.

    Returns {"mask": file, "classes": [{"class", "share"}]}.
    """
    from PIL import Image

    count = len(trained.classes)
    grey = (ids * (255 // (count - 1))).astype(np.uint8)
    width, height = open_picture(path).size
    scale = min(width / ids.shape[1], height / ids.shape[0])
    size = round(scale * ids.shape[1]), round(scale * ids.shape[0])
    canvas = Image.new("L", (width, height))
    mask = Image.fromarray(grey).resize(size, Image.Resampling.NEAREST)
    canvas.paste(mask, ((width - size[0]) // 2, (height - size[1]) // 2))
    atomically(out, lambda temporary: canvas.save(temporary, "PNG"))
    shares = np.bincount(ids.ravel(), minlength=count) / ids.size
    classes = [
        {"class": name, "share": float(share)}
        for name, share in zip(trained.classes, shares)
    ]
    return {"mask": str(out), "classes": classes}


def _flat(image: Image) -> Image:
    """Return a picture as RGB; transparent parts become white."""
    from PIL import Image as images

    white = images.new("RGBA", image.size, "white")
    return images.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _light_edge(image: Image) -> bool:
    """Return whether the border of a picture is nearer to white than to black."""
    grey = np.asarray(_flat(image).convert("L"), np.float32)
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return bool(edge.mean() >= 128)


def _negative(image: Image) -> Image:
    from PIL import ImageOps

    return ImageOps.invert(_flat(image))


# Text


def continued(
    trained: Trained,
    prompt: str,
    length: int,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    seed: int = 0,
) -> str:
    """Return a prompt with `length` more characters; the other arguments as `generate`.

    Raises InputError for a model that was not trained on text, or for a prompt with
    characters that were not in that text.
    """
    if trained.data != "text":
        raise InputError(
            f"a prompt is for a model of text; this one learned {trained.data}."
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
