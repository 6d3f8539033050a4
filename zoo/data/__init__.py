"""Data sets by name, fitted to a model's inputs and loss.

Data comes from installed packages and local files; only `hf:NAME` may use the network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..configs._base import LOSSES, Config
from ..errors import ConfigError, InputError, unknown
from ..models import as_inputs
from ..spec.batch import Batch, Split
from . import embedded, files, fitting, folders, text
from .splits import Arrays, fitted

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "Data",
    "Dataset",
    "as_dataset",
    "from_arrays",
    "load",
    "names",
    "overrides",
    "picture",
    "usual",
]

_EMBEDDED: dict[str, Callable[[], fitting.Source]] = {
    "breast_cancer": embedded.breast_cancer,
    "digit_scenes": embedded.digit_scenes,
    "digits": embedded.digits,
    "text": text.source,
}
_FILES = {"cifar10": files.cifar10, "mnist": files.mnist}
_NAMED = {"folder:PATH": folders.folder, "hf:NAME": folders.hugging_face}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples to train on and to test on, fitted to one model's inputs and loss.

    Args:
        name: of the data set.
        train, test: splits of the examples; `test` may be empty.
        task: "classify", "segment", "language" or "regress"; it decides which measures
            are taken.
        classes: names of the targets' ids; characters for language.
        notes: JSON values: source, hash, counts, how the split was made.
        path: of the files that it was read from, if one was given.
    """

    name: str
    train: Split
    test: Split
    task: str
    classes: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    path: str | None = None


# What `zoo.fit` takes: a data set, its name, or (inputs, targets).
Data = Dataset | str | tuple[Any, Any]


def names() -> list[str]:
    """Return the names that `load` takes; replace PATH and NAME by your own."""
    return sorted((*_EMBEDDED, *_FILES, *_NAMED))


def overrides(name: str, config: Config, keep: Collection[str] = ()) -> dict[str, Any]:
    """Return the config fields to change so that a model fits this data.

    Classes and channels become the data's; a model whose input is smaller than the data
    gets the data's size. A model of one logit keeps it where there are two classes.
    Fields in `keep`, such as those that a user has set, are left alone.

    Raises:
        UnknownNameError: for a data set that does not exist.
        ConfigError: for a model that cannot learn from such data.
    """
    wanted = fitting.overrides(_source(name, config), config)
    return {field: value for field, value in wanted.items() if field not in keep}


def usual(name: str, config: Config) -> str:
    """Return the first embedded data set that a model can learn.

    Models of flat numbers and two classes get breast_cancer, all other classifiers
    digits.
    """
    known = ["digits", "digit_scenes", "text"]
    flat = [len(spec.shape) for spec in config.inputs()] == [1]
    if flat and getattr(config, "num_classes", 0) in (1, 2):
        known.insert(0, "breast_cancer")
    for data in known:
        try:
            overrides(data, config)
        except ConfigError:
            continue
        return data
    raise ConfigError(
        f"no embedded data set fits {name}: give data of your own to train it."
    )


def load(
    name: str,
    config: Config,
    *,
    seed: int = 0,
    path: str | os.PathLike[str] | None = None,
    loss: str | None = None,
) -> Dataset:
    """Return a data set, fitted to the inputs and the loss of a model.

    Args:
        name: one of `names()`.
        config: of the model, with `overrides` applied.
        seed: of the split where the data has none of its own, and of random examples.
        path: the folder with the files of mnist or cifar10; None looks in the usual
            caches.
        loss: for which the targets are made; None is the config's own.

    Raises:
        UnknownNameError: for a data set or loss that does not exist.
        ConfigError: for a model that cannot learn from such data.
        FileError: for files that are missing or damaged.
        MissingDataError, MissingPackageError: for libraries that are not installed.
    """
    loss = config.loss if loss is None else loss
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    source = _source(name, config, path)
    fit = fitting.fit(source, config, loss)
    raw = source.read(config, seed)
    train, test = fitted(raw.train, fit), fitted(raw.test, fit)
    as_inputs(config, train.take(np.zeros(1, int)).inputs)  # raises if unfit
    location = None if path is None else os.path.abspath(path)
    if name.startswith("folder:"):  # a run may be resumed from another directory
        name = f"folder:{os.path.abspath(name.removeprefix('folder:'))}"
    return Dataset(name, train, test, source.task, source.classes, raw.notes, location)


def picture(
    source: str | os.PathLike[str] | Image, name: str, config: Config
) -> tuple[np.ndarray, ...]:
    """Return the inputs (a batch of one) that a model trained on a data set takes.

    The picture is converted to the data set's own size and colours, then fitted like
    its examples. Digits must be white on black.

    Args:
        source: a file, or a Pillow image.
        name: of the data set.
        config: of the model.

    Raises:
        ConfigError: for a model that cannot have been trained on it.
        InputError: for a data set that does not consist of pictures.
        FileError: for a file that is missing, damaged or no picture.
    """
    spec = config.inputs()[0]
    if name.startswith(("folder:", "hf:")):  # the data may be gone by now
        shape, resize = folders.own_size(name, config), True
    else:
        known = _source(name, config)
        fitting.check_task(known, config)
        shape, resize = known.shape, known.task != "segment"
    if len(shape) != 3:
        raise InputError(f"{name} does not consist of pictures.")
    if isinstance(source, str | os.PathLike):
        x = folders.read_picture(source, *shape)[None]  # (1, H, W, C)
    else:
        x = folders.fit_picture(source, *shape)[None]
    return (np.ascontiguousarray(fitting.pictures(x, spec, name, resize)),)


def as_dataset(data: Data, config: Config, *, seed: int, loss: str) -> Dataset:
    """Return a data set, fitted to a model, from any `data` that `zoo.fit` takes.

    Args:
        data: the name of a data set, a Dataset, or a pair of arrays (inputs, targets).
        config: of the model.
        seed, loss: as in `load`.

    Raises:
        ConfigError: for anything else. Also all errors of `load` and `from_arrays`.
    """
    if isinstance(data, str):
        return load(data, config, seed=seed, loss=loss)
    if isinstance(data, tuple) and len(data) == 2:
        return from_arrays(*data)
    if isinstance(data, Dataset):
        return data
    raise ConfigError(
        "data must be the name of a data set, a Dataset, or (inputs, targets); got"
        f" {type(data).__name__}."
    )


def from_arrays(
    inputs: np.ndarray | tuple[np.ndarray, ...],
    targets: np.ndarray,
    test: tuple[np.ndarray | tuple[np.ndarray, ...], np.ndarray] | None = None,
    *,
    name: str = "arrays",
    task: str | None = None,
    classes: tuple[str, ...] = (),
) -> Dataset:
    """Return a data set of your own arrays.

    Args:
        inputs: an array, or a tuple in call order; batch first, channels last.
        targets: ids for cross-entropy, (N,), (N, T) or (N, H, W), or floats of the
            logits' shape for the other losses.
        test: (inputs, targets) to test on, if any.
        name: of the data set.
        task: see `Dataset`; None guesses it from the targets: for ids from their axes;
            floats of only 0 and 1 are classes or masks, all others a regression.
        classes: names of the ids.

    Raises:
        InputError: for arrays of different lengths, or targets that are no numbers.
    """
    train = _arrays(inputs, targets)
    if task is None:
        task = _guess(train.batch.targets)
    held_out = _arrays(*test) if test else Arrays(*_empty(train.batch))
    notes = {"source": "arrays", "train": len(train), "test": len(held_out)}
    return Dataset(name, train, held_out, task, tuple(classes), notes)


def _source(
    name: str, config: Config, path: str | os.PathLike[str] | None = None
) -> fitting.Source:
    if name in _FILES:
        return _FILES[name](path)
    if path is not None:
        raise InputError(f"{name} takes no path; {' and '.join(sorted(_FILES))} do.")
    if name in _EMBEDDED:
        return _EMBEDDED[name]()
    kind, colon, argument = name.partition(":")
    for pattern, source in _NAMED.items():
        if colon and argument and pattern.startswith(f"{kind}:"):
            return source(argument)(config)
    raise unknown("data set", name, names())


def _arrays(inputs: Any, targets: Any) -> Arrays:
    columns = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    arrays, targets = tuple(map(np.asarray, columns)), np.asarray(targets)
    lengths = {len(x) if x.ndim else 0 for x in (*arrays, targets)}
    if len(lengths) > 1 or 0 in lengths:
        shapes = ", ".join(str(x.shape) for x in (*arrays, targets))
        raise InputError(f"inputs and targets must be of one length; got {shapes}.")
    if targets.dtype.kind not in "iufb":
        raise InputError(f"targets must be ids or numbers; got {targets.dtype}.")
    dtype = {"i": np.int32, "u": np.int32, "b": np.float32}.get(targets.dtype.kind)
    return Arrays(arrays, targets.astype(dtype or targets.dtype, copy=False))


def _empty(batch: Batch) -> Batch:
    return Batch(tuple(x[:0] for x in batch.inputs), batch.targets[:0])


def _guess(targets: np.ndarray) -> str:
    """Return the task that targets are most likely for."""
    if targets.dtype.kind == "i":
        return {1: "classify", 2: "language"}.get(targets.ndim, "segment")
    if not np.isin(targets, (0, 1)).all():
        return "regress"
    return "segment" if targets.ndim == 4 else "classify"
