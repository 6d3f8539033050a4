"""MNIST and CIFAR-10 from local files, in their authors' formats or Keras's.

Nothing is downloaded. Files are not trusted: a header is checked against the file's
size before memory is taken, and nothing in CIFAR-10's pickles is run.
"""

from __future__ import annotations

import gzip
import math
import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..configs._base import Config
from ..errors import FileError
from .embedded import sha256
from .fitting import Raw, Source
from .splits import Arrays

_SIDES = ("train", "t10k")
_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
_CIFAR_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

Pair = tuple[np.ndarray, np.ndarray]  # pictures (N, H, W, C) uint8, labels (N,) int32


def mnist(path: str | os.PathLike[str] | None) -> Source:
    """Return MNIST: 70,000 digits of 28x28, or another set in its format."""

    def read(config: Config, seed: int) -> Raw:
        places = _places(path, "MNIST/raw", "raw", keras=("mnist.npz",))
        for place in places:
            if place.is_file() and place.suffix == ".npz":
                return _raw(place, *_npz(place))
            if any(_idx_files(place, side)[0].exists() for side in _SIDES):
                return _raw(place, *(_idx_pair(place, side) for side in _SIDES))
        raise _nowhere(
            "MNIST", "train-images-idx3-ubyte(.gz) and three more, or mnist.npz",
            places,
        )  # fmt: skip

    return Source("mnist", "classify", tuple("0123456789"), (28, 28, 1), read)


def cifar10(path: str | os.PathLike[str] | None) -> Source:
    """Return CIFAR-10: 60,000 colour pictures of 32x32."""

    def read(config: Config, seed: int) -> Raw:
        py, binary = "cifar-10-batches-py", "cifar-10-batches-bin"
        kept = (py, f"{py}-target/{py}")
        places = _places(path, binary, py, keras=kept)
        for place in places:
            for suffix, reader in ((".bin", _binary), ("", _pickled)):
                files = [place / (name + suffix) for name in (*_BATCHES, "test_batch")]
                if any(file.is_file() for file in files):
                    *train, test = (reader(file) for file in files)
                    pictures, labels = map(np.concatenate, zip(*train))
                    return _raw(place, (pictures, labels), test)
        raise _nowhere("CIFAR-10", "data_batch_1(.bin) … test_batch(.bin)", places)

    return Source("cifar10", "classify", _CIFAR_CLASSES, (32, 32, 3), read)


def _places(
    path: str | os.PathLike[str] | None, *inside: str, keras: tuple[str, ...]
) -> list[Path]:
    """Return the places to look in: the path and folders in it, or the usual caches."""
    if path is not None:
        given = Path(path).expanduser()
        return [given, *(given / name for name in (*inside, *keras))]
    roots = (Path("data"), Path(), Path("~/data").expanduser())
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"
    return [
        *(root / name for root in roots for name in inside),
        *(home / name for name in keras),
    ]


def _nowhere(name: str, wanted: str, places: list[Path]) -> FileError:
    looked = ", ".join(map(str, places))
    return FileError(
        f"no files of {name} ({wanted}) in any of {looked}. Give their folder as path;"
        " torchvision.datasets and keras.datasets can download them."
    )


def _raw(place: Path, train: Pair, test: Pair) -> Raw:
    notes = {
        "source": str(place),
        "sha256": sha256(*train, *test),
        "train": len(train[1]),
        "test": len(test[1]),
        "split": "the data set's own",
    }
    (x, labels), (test_x, test_labels) = train, test
    return Raw(Arrays((x,), labels), Arrays((test_x,), test_labels), notes)


def _damaged(path: Path, why: str) -> FileError:
    return FileError(f"{path} is damaged: {why}. Remove it and fetch it again.")


def _checked(path: Path, pictures: np.ndarray, labels: np.ndarray) -> Pair:
    """Return pictures and labels if they are as many, of ten classes."""
    if len(pictures) != len(labels) or not len(labels):
        raise _damaged(path, f"{len(pictures)} pictures for {len(labels)} labels")
    if labels.min() < 0 or labels.max() > 9:
        raise _damaged(path, f"labels from {labels.min()} to {labels.max()}")
    return pictures, labels.astype(np.int32)


# MNIST: LeCun's IDX files, which torchvision keeps as they are, and Keras's .npz.


def _idx_files(folder: Path, side: str) -> list[Path]:
    """Return the files of pictures and of labels, in whichever spelling exists."""
    files = []
    for kind in ("images{}idx3-ubyte", "labels{}idx1-ubyte"):
        stems = (f"{side}-{kind.format(sign)}" for sign in "-.")
        known = [folder / (stem + end) for stem in stems for end in ("", ".gz")]
        files.append(next((file for file in known if file.is_file()), known[0]))
    return files


def _idx_pair(folder: Path, side: str) -> Pair:
    files = _idx_files(folder, side)
    pictures, labels = _idx(files[0], (28, 28)), _idx(files[1], ())
    return _checked(files[1], pictures[..., None], labels)


def _idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return the uint8 array (N, *shape) of an IDX file, gzipped or not."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            magic = file.read(4)
            if magic[:3] != b"\0\0\x08" or len(magic) != 4:
                raise _damaged(path, "it does not begin as an IDX file of bytes does")
            sizes = struct.unpack(f">{magic[3]}I", file.read(4 * magic[3]))
            if sizes[1:] != shape or len(sizes) != len(shape) + 1:
                raise _damaged(path, f"its shape is {sizes}, not {('N', *shape)}")
            # Deflate shrinks at most 1032 times: before any memory is taken.
            most = path.stat().st_size * (1032 if zipped else 1)
            promised = math.prod(sizes)
            content = file.read(promised + 1) if promised <= most else b""
    except FileNotFoundError:
        raise FileError(
            f"no such file: {path} (or .gz), while others of the set are there."
        ) from None
    except (OSError, EOFError, zlib.error, struct.error) as error:
        if isinstance(error, FileError):
            raise
        raise _damaged(path, f"it ends early or cannot be unpacked ({error})") from None
    if len(content) != promised:
        count = "more" if len(content) > promised else "fewer"
        raise _damaged(path, f"it holds {count} than the {promised} bytes it promises")
    return np.frombuffer(content, np.uint8).reshape(sizes)


def _npz(path: Path) -> tuple[Pair, Pair]:
    """Return the two splits of Keras's file."""
    try:
        # np.load does not close a damaged file that it opened itself.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            pairs = [(arrays[f"x_{s}"], arrays[f"y_{s}"]) for s in ("train", "test")]
    except Exception as error:  # zip, zlib, NumPy: each has its own errors
        if isinstance(error, KeyError):
            raise _damaged(path, f"{error.args[0]}") from None
        raise _damaged(path, f"it is no complete .npz file ({error})") from None
    for x, y in pairs:
        good = x.dtype == np.uint8 and x.ndim == 3 and y.dtype.kind in "iu"
        if not good or x.shape[1:] != (28, 28) or y.ndim != 1:
            raise _damaged(path, f"it holds {x.dtype}{x.shape} and {y.dtype}{y.shape}")
    train, test = (_checked(path, x[..., None], y) for x, y in pairs)
    return train, test


# CIFAR-10: the binary version, and the Python version, which caches usually hold.


def _planes(flat: np.ndarray) -> np.ndarray:
    """Return pictures (N, 32, 32, 3) of red, green and blue planes (N, 3072)."""
    return np.ascontiguousarray(flat.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileError(
            f"no such file: {path}, while others of the set are there."
        ) from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}.") from None


def _binary(path: Path) -> Pair:
    """Return a batch of the binary version: rows of a label and 3072 pixel bytes."""
    content = _content(path)
    if not content or len(content) % 3073:
        raise _damaged(path, f"{len(content)} bytes are no multiple of 3073")
    rows = np.frombuffer(content, np.uint8).reshape(-1, 3073)
    return _checked(path, _planes(rows[:, 1:]), rows[:, 0])


class _Inert:
    """Replaces every class and function that a pickle names: it only holds values."""

    state: Any = None

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state


_NAMES = (
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
)


class _Reader(pickle.Unpickler):
    """Reads plain values, and NumPy arrays as inert objects.

    So a file cannot run any function, not even one of NumPy.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _Inert


def _pickled(path: Path) -> Pair:
    """Return a batch of the Python version: a dict of an array and a list."""
    try:
        with path.open("rb") as file:
            batch = _Reader(file, encoding="bytes").load()
        pictures, labels = (
            batch.get(key.encode(), batch.get(key)) for key in ("data", "labels")
        )
        _, shape, kind, in_columns, content = pictures.state
        if kind.args[0] not in ("u1", b"u1"):
            raise ValueError("its array is not made of bytes")
        order = "F" if in_columns else "C"
        flat = np.frombuffer(content, np.uint8).reshape(shape, order=order)
        labels = np.array(labels, np.int64)
        if flat.ndim != 2 or flat.shape[1] != 3072 or labels.ndim != 1:
            raise ValueError(f"its array has shape {flat.shape}, not (N, 3072)")
    except FileNotFoundError:
        raise FileError(
            f"no such file: {path}, while others of the set are there."
        ) from None
    except Exception as error:  # damaged pickles raise almost anything
        raise _damaged(path, f"no batch of CIFAR-10 can be read ({error})") from None
    return _checked(path, _planes(flat), labels)
