"""The pictures of `zoo explain`: an image, Grad-CAM, saliency and feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data import Dataset
from ..errors import FileError, InputError
from ..inference.answers import picture_inputs, scores
from ..inference.trained import Trained
from ..models import predict
from ..training.plots import figure, write
from .maps import Maps, feature_maps, grad_cam, saliency

STRONGEST = 16  # the number of feature maps drawn


class Shot(NamedTuple):
    """One image to explain."""

    inputs: tuple[np.ndarray, ...]  # a batch of one
    stem: str  # of the picture's file
    title: str


class Drawn(NamedTuple):
    """A picture that was written."""

    file: str
    title: str
    target: str  # the class that is explained
    layer: str  # whose maps are shown


def takes_images(trained: Trained) -> bool:
    """Return whether a model's input is images."""
    return len(trained.model.config.inputs()[0].shape) == 3


def shots(
    trained: Trained,
    dataset: Dataset,
    files: Sequence[Path] = (),
    count: int = 4,
    invert: bool | None = None,
) -> list[Shot]:
    """Return the images in these files, or else the first of the test examples.

    Args:
        trained: the model; for a model of other inputs the list is empty.
        dataset: whose test examples are taken.
        files: pictures.
        count: number of test examples, if there are no files.
        invert: as in `picture_inputs`.
    """
    if not takes_images(trained):
        return []
    images = []
    for i, path in enumerate(files):
        stem = path.stem if [f.stem for f in files].count(path.stem) == 1 else ""
        inputs = picture_inputs(trained, path, invert)
        images.append(Shot(inputs, stem or f"{path.stem}-{i}", path.name))
    if files or not len(dataset.test):
        return images
    chosen = np.arange(min(count, len(dataset.test)))
    inputs, targets = dataset.test.take(chosen)
    for i in chosen:
        title = f"test example {i}"
        if targets.ndim == 1 and targets.dtype.kind in "iu" and trained.classes:
            title += f", a {trained.classes[targets[i]]}"
        own = tuple(x[i : i + 1] for x in inputs)
        images.append(Shot(own, f"test-{i}", title))
    return images


def class_number(trained: Trained, target: str | None) -> int | None:
    """Return the number of a class from its name or its number.

    Raises InputError for any other name.
    """
    if target is None:
        return None
    if target in trained.classes:
        return trained.classes.index(target)
    if target.isdecimal():
        return int(target)
    known = ", ".join(trained.classes[:12])
    raise InputError(f"target must be a number or one of {known}; got {target!r}.")


def draw(
    trained: Trained,
    shot: Shot,
    out: Path,
    *,
    target: int | None = None,
    layer: str | None = None,
) -> Drawn:
    """Write one picture: the image, Grad-CAM, saliency, and the strongest maps.

    Args:
        trained: the model, and its classes.
        shot: the image.
        out: folder for the picture; it is created if it does not exist.
        target, layer: as in `grad_cam`.

    Raises:
        FileError: for a folder that cannot be written.
        InputError, UnknownNameError: as `grad_cam`.
    """
    model, inputs = trained.model, shot.inputs
    heat = grad_cam(model, inputs, target, layer)
    slopes = saliency(model, inputs, target)
    shown = feature_maps(model, inputs, layer)
    assert heat.targets is not None
    chosen = int(heat.targets[0])
    named = trained.classes[chosen] if chosen < len(trained.classes) else str(chosen)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {out}: {error.strerror}.") from None
    path = out / f"{shot.stem}.png"
    drawing, axes = figure(path)
    axes.remove()
    drawing.set_size_inches(9, 6)
    above, below = drawing.subfigures(2, 1)
    title = f"{shot.title}{_taken_for(trained, inputs)}"
    titles = (title, f"Grad-CAM for {named}, {heat.layer}", f"Saliency for {named}")
    _draw_where(above, _visible(inputs[0][0]), heat.maps[0], slopes.maps[0], titles)
    _draw_maps(below, shown)
    write(drawing, path)
    return Drawn(str(path), title, named, heat.layer)


def _draw_where(
    part: Any,
    image: np.ndarray,
    heat: np.ndarray,
    slopes: np.ndarray,
    titles: Sequence[str],
) -> None:
    """Draw an image, its heat map over it, and its saliency, (H, W) each."""
    panels = part.subplots(1, 3)
    for panel, title in zip(panels, titles):
        panel.set_title(title, fontsize=9)
        panel.set_axis_off()
    panels[0].imshow(image, cmap="gray", vmin=0, vmax=1)
    panels[1].imshow(image, cmap="gray", vmin=0, vmax=1)
    panels[1].imshow(heat, cmap="cividis", vmin=0, vmax=1, alpha=0.7)
    panels[2].imshow(slopes, cmap="cividis")


def _draw_maps(part: Any, shown: Maps) -> None:
    """Draw the maps (H, W) that vary most, in the order of their numbers."""
    maps = shown.maps[0]  # (H, W, C)
    strongest = np.argsort(-maps.std((0, 1)), kind="stable")[:STRONGEST]
    few = f"{len(strongest)} of " if len(strongest) < maps.shape[-1] else ""
    size = "x".join(map(str, maps.shape[:2]))
    title = f"Feature maps of {shown.layer}: {few}{maps.shape[-1]}, {size}"
    part.suptitle(title, fontsize=9)
    columns = (len(strongest) + 1) // 2
    panels = part.subplots(2, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, unit in zip(panels, np.sort(strongest)):
        panel.imshow(maps[..., unit], cmap="cividis")
        panel.set_title(str(unit), fontsize=7)


def _visible(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, C) as (H, W) or (H, W, 3), stretched over [0, 1]."""
    image = image if image.shape[-1] == 3 else image.mean(-1)
    low, high = image.min(), image.max()
    return (image - low) / max(high - low, 1e-12)


def _taken_for(trained: Trained, inputs: tuple[np.ndarray, ...]) -> str:
    """Return ", taken for CLASS (…%)" where the model predicts one class, or ""."""
    if predict(trained.model, inputs).ndim != 2:
        return ""
    [shares] = scores(trained, inputs)
    if len(shares) != len(trained.classes):  # an mse, or a head wider than the data
        return ""
    best = int(shares.argmax())
    return f", taken for {trained.classes[best]} ({shares[best]:.0%})"
