"""Pictures from folders, one for each class, and from Hugging Face's `datasets`."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
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
    """Return the size (H, W, C) of pictures that a model takes."""
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
        f"{name} holds pictures; this model takes {spec.name}: use one that takes"
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
    """Return (H, W, C) uint8: resized bilinearly to cover H x W, the middle cut out."""
    images, ops = _pillow()
    picture = picture.convert("L" if channels == 1 else "RGB")
    bilinear = images.Resampling.BILINEAR
    array = np.asarray(ops.fit(picture, (width, height), bilinear))
    return array.reshape(height, width, channels)


def _readable(path: str | os.PathLike[str], use: Callable[[Image], T]) -> T:
    """Return `use(picture)` for a file; raise FileError if it is no picture."""
    images, _ = _pillow()
    try:
        with images.open(path) as picture:
            return use(picture)
    except FileNotFoundError:
        raise FileError(f"no such file: {path}.") from None
    except Exception as error:  # each of Pillow's formats has its own errors
        raise FileError(
            f"{path} cannot be read as a picture ({error}): mend or remove it."
        ) from None


def open_picture(path: str | os.PathLike[str]) -> Image:
    """Return a picture, read into memory.

    Raises FileError for a file that is missing, damaged or no picture.
    """
    return _readable(path, lambda picture: picture.copy())  # decodes the whole file


def read_picture(
    path: str | os.PathLike[str], height: int, width: int, channels: int
) -> np.ndarray:
    """Return a file's picture (H, W, C) uint8, grey (C = 1) or RGB (C = 3).

    Raises FileError for a file that is missing, damaged or no picture.
    """
    return _readable(path, lambda p: fit_picture(p, height, width, channels))


def folder(path: str) -> Callable[[Config], Source]:
    """Return the pictures under PATH/CLASS/…, or PATH/train/CLASS/… and PATH/test.

    Raises FileError for a folder that is missing or has another structure.
    """
    root = Path(path).expanduser()
    name = f"folder:{path}"
    if not root.is_dir():
        raise FileError(f"no such folder: {root}.")
    train_root = root / "train" if (root / "train").is_dir() else root
    candidates = [root / n for n in _TESTS] if train_root != root else []
    test_root = next((p for p in candidates if p.is_dir()), None)
    train = _listed(train_root)
    classes = tuple(train)
    if len(classes) < 2:
        raise FileError(
            f"{train_root} has pictures in {len(classes)} folders; it must have a"
            " folder for each class, two or more."
        )
    test = _listed(test_root) if test_root else {}
    if surplus := test.keys() - train.keys():
        raise FileError(
            f"{test_root} has a class {min(surplus)!r}, {train_root} has not."
        )

    def source(config: Config) -> Source:
        shape = own_size(name, config)

        def read(config: Config, seed: int) -> Raw:
            files, labels = _flat(train, classes)
            if test_root:
                parts = (files, labels), _flat(test, classes)
                counts = {"train": len(files), "test": len(parts[1][0])}
                notes = {**counts, "split": f"{train_root.name} and {test_root.name}"}
            else:
                indices = stratified(labels, seed)
                parts = [([files[i] for i in part], labels[part]) for part in indices]
                notes = split_notes(seed, *indices)
            every = [*parts[0][0], *parts[1][0]]
            about = {
                "source": str(root.resolve()),
                "sha256_of_names_and_sizes": _digest(root, every),
            }
            train_split, test_split = (_pictures(*part, shape) for part in parts)
            return Raw(train_split, test_split, about | notes)

        return Source(name, "classify", classes, shape, read)

    return source


def _listed(root: Path) -> dict[str, list[Path]]:
    """Return the pictures of each class, by the name of its folder, sorted."""
    folders = sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] != ".")
    listed = {
        p.name: sorted(f for f in p.rglob("*") if f.suffix.lower() in SUFFIXES)
        for p in folders
    }
    return {name: files for name, files in listed.items() if files}


def _flat(
    listed: dict[str, list[Path]], classes: tuple[str, ...]
) -> tuple[list[Path], np.ndarray]:
    """Return all files, class by class, and their labels (N,), int32."""
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
        InputError: for one without a training split or such columns.
    """
    splits = _load_hf(name)
    features = splits["train"].features
    pictures, labels = _hf_columns(name, features)
    classes = tuple(features[labels].names)
    test = next((split for split in _TESTS if split in splits), None)

    def source(config: Config) -> Source:
        shape = own_size(f"hf:{name}", config)

        def read(config: Config, seed: int) -> Raw:
            ids = np.array(splits["train"][labels], np.int32)
            notes: dict[str, Any] = {"source": f"HF datasets, {name}"}
            if test:
                train, held_out = range(len(ids)), range(len(splits[test]))
                notes |= {"train": len(train), "test": len(held_out)}
                notes["split"] = f"train and {test}"
                return Raw(examples("train", train), examples(test, held_out), notes)
            train, held_out = (part.tolist() for part in stratified(ids, seed))
            notes |= split_notes(seed, train, held_out)
            return Raw(examples("train", train), examples("train", held_out), notes)

        def examples(split: str, indices: Sequence[int]) -> Made:
            def make(index: int) -> tuple[np.ndarray, np.ndarray]:
                row = splits[split][indices[index]]
                label = np.asarray(row[labels], np.int32)
                return fit_picture(row[pictures], *shape), label

            return Made(len(indices), make)

        return Source(f"hf:{name}", "classify", classes, shape, read)

    return source


def _load_hf(name: str) -> dict[str, Any]:
    """Return the splits of an HF data set that are for training or for testing."""
    try:
        from datasets import load_dataset  # pyrefly: ignore[missing-import]
    except ImportError:
        raise MissingPackageError(
            f"hf:{name} needs datasets, which is not installed: in a checkout of zoo,"
            " run pip install '.[hf]'."
        ) from None
    try:
        loaded = load_dataset(name)
    except Exception as error:  # of the network, the hub, the file, its name
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileError(f"hf:{name} cannot be loaded: {reason}") from None
    if "train" not in loaded:
        splits = ", ".join(loaded)
        raise InputError(f"hf:{name} has no split 'train'; it has {splits}.")
    return {k: v for k, v in loaded.items() if k in ("train", *_TESTS)}


def _hf_columns(name: str, features: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of the first columns of pictures and of classes."""
    pictures = [k for k, f in features.items() if type(f).__name__ == "Image"]
    labels = [k for k, f in features.items() if type(f).__name__ == "ClassLabel"]
    if not pictures or not labels:
        raise InputError(
            f"hf:{name} must have a column of pictures (Image) and one of classes"
            f" (ClassLabel); it has {', '.join(features)}."
        )
    return pictures[0], labels[0]
