"""Pictures in folders, one for each class, and picture sets of HF `datasets`."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..configs._base import Config
from ..errors import ConfigError, FileError, InputError, MissingPackageError
from .embedded import split_notes
from .fitting import Raw, Source
from .splits import Made, stratified

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
_TESTS = ("test", "val", "valid", "validation")


def own_size(name: str, config: Config) -> tuple[int, int, int]:
    """Return (H, W, C) of the pictures that a model takes."""
    spec = config.inputs()[0]
    if spec.kind == "real" and len(spec.shape) == 3:
        height, width, channels = spec.shape
        return height, width, 1 if channels == 1 else 3
    if spec.kind == "real" and len(spec.shape) == 2:
        return *spec.shape, 1
    if spec.kind == "real":
        side = math.isqrt(spec.shape[0])
        return side, side, 1
    raise ConfigError(
        f"{name} holds pictures; this model takes {spec.name}: take one that takes"
        " images, such as cnn."
    )


def _pillow() -> Any:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingPackageError(
            "pictures are read with pillow, which is not installed: in a checkout of"
            " zoo, run pip install '.[data]'."
        ) from None
    return Image, ImageOps


def fit_picture(picture: Image, height: int, width: int, channels: int) -> np.ndarray:
    """Return (H, W, C) uint8: the short side fitted, the middle cut out; bilinear."""
    images, ops = _pillow()
    picture = picture.convert("L" if channels == 1 else "RGB")
    bilinear = images.Resampling.BILINEAR
    array = np.asarray(ops.fit(picture, (width, height), bilinear))
    return array.reshape(height, width, channels)


def _readable(path: str | os.PathLike[str], use: Callable[[Image], T]) -> T:
    """Return what `use` makes of a picture; a file that is none is a FileError."""
    images, _ = _pillow()
    try:
        with images.open(path) as picture:
            return use(picture)
    except FileNotFoundError:
        raise FileError(f"no such file: {path}.") from None
    except Exception as error:  # each of Pillow's formats has its own
        raise FileError(
            f"{path} cannot be read as a picture ({error}): mend or remove it."
        ) from None


def open_picture(path: str | os.PathLike[str]) -> Image:
    """Return a picture, read into memory.

    Raises FileError for a file that is missing, damaged or no picture.
    """
    return _readable(path, lambda picture: picture.copy())  # reads all of it


def read_picture(
    path: str | os.PathLike[str], height: int, width: int, channels: int
) -> np.ndarray:
    """Return (H, W, C) uint8 of a file, 1 channel (grey) or 3 (red, green, blue).

    Raises FileError for a file that is missing, damaged or no picture.
    """
    return _readable(path, lambda p: fit_picture(p, height, width, channels))


def folder(path: str) -> Callable[[Config], Source]:
    """Return the pictures under a path: PATH/CLASS/…, or PATH/train/CLASS/… and test.

    Raises FileError for a folder that is missing or not of this form.
    """
    root = Path(path).expanduser()
    name = f"folder:{path}"
    if not root.is_dir():
        raise FileError(f"no such folder: {root}.")
    train_root = root / "train" if (root / "train").is_dir() else root
    beside = [root / n for n in _TESTS] if train_root != root else []
    test_root = next((p for p in beside if p.is_dir()), None)
    train = _listed(train_root)
    classes = tuple(train)
    if len(classes) < 2:
        raise FileError(
            f"{train_root} has pictures in {len(classes)} folders; it takes one folder"
            " for each class, two or more."
        )
    test = _listed(test_root) if test_root else {}
    if odd := test.keys() - train.keys():
        raise FileError(f"{test_root} has a class {min(odd)!r}, {train_root} has not.")

    def source(config: Config) -> Source:
        shape = own_size(name, config)

        def read(config: Config, seed: int) -> Raw:
            files, labels = _flat(train, classes)
            if test_root:
                sides = (files, labels), _flat(test, classes)
                counts = {"train": len(files), "test": len(sides[1][0])}
                notes = {**counts, "split": f"{train_root.name} and {test_root.name}"}
            else:
                halves = stratified(labels, seed)
                sides = [([files[i] for i in half], labels[half]) for half in halves]
                notes = split_notes(seed, *halves)
            about = {
                "source": str(root.resolve()),
                "sha256_of_names_and_sizes": _digest(
                    root, [*sides[0][0], *sides[1][0]]
                ),
            }
            splits = [_pictures(*side, shape) for side in sides]
            return Raw(splits[0], splits[1], about | notes)

        return Source(name, "classify", classes, shape, read)

    return source


def _listed(root: Path) -> dict[str, list[Path]]:
    """Return the pictures of each class, by the name of its folder, sorted."""
    folders = sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] != ".")
    found = {
        p.name: sorted(f for f in p.rglob("*") if f.suffix.lower() in SUFFIXES)
        for p in folders
    }
    return {name: files for name, files in found.items() if files}


def _flat(
    listed: dict[str, list[Path]], classes: tuple[str, ...]
) -> tuple[list[Path], np.ndarray]:
    files = [file for name in classes for file in listed.get(name, [])]
    counts = [len(listed.get(name, [])) for name in classes]
    return files, np.repeat(np.arange(len(classes), dtype=np.int32), counts)


def _digest(root: Path, files: list[Path]) -> str:
    lines = sorted(
        f"{f.relative_to(root).as_posix()} {f.stat().st_size}" for f in files
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _pictures(files: list[Path], labels: np.ndarray, shape: tuple[int, ...]) -> Made:
    def make(index: int) -> tuple[np.ndarray, np.ndarray]:
        return read_picture(files[index], *shape), labels[index]

    return Made(len(files), make, threads=min(8, os.cpu_count() or 1))


def hugging_face(name: str) -> Callable[[Config], Source]:
    """Return a picture set of HF `datasets`: a column of pictures, one of classes.

    Raises:
        MissingPackageError: where `datasets` is not installed.
        FileError: for a set that cannot be loaded.
        InputError: for one without such columns.
    """
    try:
        from datasets import load_dataset  # pyrefly: ignore[missing-import]
    except ImportError:
        raise MissingPackageError(
            f"hf:{name} needs datasets, which is not installed: in a checkout of zoo,"
            " run pip install '.[hf]'."
        ) from None
    try:
        found = load_dataset(name)
    except Exception as error:  # of the network, the hub, the file, its name
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileError(f"hf:{name} cannot be loaded: {reason}") from None
    sides = {k: v for k, v in found.items() if k in ("train", *_TESTS)}
    if "train" not in sides:
        have = ", ".join(found)
        raise InputError(f"hf:{name} has no split 'train'; it has {have}.")
    columns = sides["train"].features
    pictures = [k for k, f in columns.items() if type(f).__name__ == "Image"]
    labels = [k for k, f in columns.items() if type(f).__name__ == "ClassLabel"]
    if not pictures or not labels:
        raise InputError(
            f"hf:{name} must have a column of pictures (Image) and one of classes"
            f" (ClassLabel); it has {', '.join(columns)}."
        )
    classes = tuple(columns[labels[0]].names)
    test = next((n for n in _TESTS if n in sides), None)

    def source(config: Config) -> Source:
        shape = own_size(f"hf:{name}", config)

        def read(config: Config, seed: int) -> Raw:
            ids = np.array(sides["train"][labels[0]], np.int32)
            notes: dict[str, Any] = {"source": f"HF datasets, {name}"}
            if test:
                notes |= {"train": len(ids), "test": len(sides[test])}
                notes["split"] = f"train and {test}"
                return Raw(
                    side("train", range(len(ids))),
                    side(test, range(len(sides[test]))),
                    notes,
                )
            train, held_out = (half.tolist() for half in stratified(ids, seed))
            notes |= split_notes(seed, train, held_out)
            return Raw(side("train", train), side("train", held_out), notes)

        def side(split: str, rows: Any) -> Made:
            def make(index: int) -> tuple[np.ndarray, np.ndarray]:
                row = sides[split][rows[index]]
                label = np.asarray(row[labels[0]], np.int32)
                return fit_picture(row[pictures[0]], *shape), label

            return Made(len(rows), make)

        return Source(f"hf:{name}", "classify", classes, shape, read)

    return source
