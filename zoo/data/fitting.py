"""Data sets before they are fitted to a model, and how they are fitted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..configs._base import Config, Input
from ..configs.rnn import RecurrentNetConfig
from ..configs.unet import UNetConfig
from ..errors import ConfigError
from ..spec.batch import Batch, Split
from . import shapes

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green, blue: ITU-R BT.601


class Raw(NamedTuple):
    """Examples in their own shape; pictures (N, H, W, C): uint8, or ink in [0, 1]."""

    train: Split
    test: Split
    notes: dict[str, Any]


class Source(NamedTuple):
    """A data set: its properties, known without reading it, and how to read it."""

    name: str
    task: str  # classify, segment or language
    classes: tuple[str, ...]
    shape: tuple[int, ...]  # (H, W, C) of pictures, (F,) of numbers, () of text
    read: Callable[[Config, int], Raw]  # of the config and a seed


def _name(config: Config) -> str:
    name = type(config).__name__.removesuffix("Config")
    return f"{name} with time steps" if getattr(config, "time_width", 0) else name


def _tasks(config: Config) -> tuple[str, ...]:
    """Return the tasks that a model can be trained for."""
    if isinstance(config, UNetConfig):
        return () if config.time_width else ("segment",)
    if isinstance(config, RecurrentNetConfig):
        # A bidirectional one has seen the character that it should predict.
        return ("classify",) if config.bidirectional else ("classify", "language")
    if hasattr(config, "num_classes"):
        return ("classify",)
    return ("language",) if config.inputs()[0].kind == "token" else ()


_WORDS = {"classify": "classes", "segment": "masks", "language": "text"}
_MODELS = {
    "classify": "a classifier such as cnn",
    "segment": "a U-Net such as unet_bn",
    "language": "a causal language model such as gpt",
}


def check_task(source: Source, config: Config) -> None:
    """Raise ConfigError for a model that cannot learn from such data."""
    if source.task not in _tasks(config):
        raise ConfigError(
            f"{source.name} holds {_WORDS[source.task]}, which {_name(config)} does"
            f" not learn; take {_MODELS[source.task]}."
        )


def overrides(source: Source, config: Config) -> dict[str, Any]:
    """Return the config fields that must change to fit this data."""
    check_task(source, config)
    count = len(source.classes)
    if source.task == "language":
        wanted = {"vocabulary": count, "num_classes": count, "output": "sequence"}
    else:
        binary = count == 2 and getattr(config, "num_classes", 0) in (1, 2)
        wanted = {} if binary else {"num_classes": 1 if _masks(source) else count}
        wanted |= {"output": "last"} | _sizes(source, config.inputs()[0])
    known = config.to_dict()
    return {k: v for k, v in wanted.items() if k in known and known[k] != v}


def _masks(source: Source) -> bool:
    return source.task == "segment"


def _sizes(source: Source, spec: Input) -> dict[str, Any]:
    """Return the config fields of the inputs' size: at least the data's own."""
    if len(source.shape) == 1:
        if spec.kind != "real" or len(spec.shape) != 1:
            raise ConfigError(
                f"{source.name} is rows of {source.shape[0]} numbers; this model takes"
                f" {spec.name} {spec.shape}: take an MLP such as tabular_mlp."
            )
        return {"in_features": source.shape[0]}
    height, width, channels = source.shape
    if spec.kind == "token":
        if source.name != "digits":
            raise ConfigError(
                f"{source.name} cannot be turned into tokens; digits can: take it, or a"
                " model that takes images."
            )
        return {"vocabulary": 16, "length": min(spec.shape[0], 64)}
    if len(spec.shape) == 1:
        return {"in_features": max(spec.shape[0], height * width * channels)}
    if len(spec.shape) == 2:
        length, features = max(spec.shape[0], height), width * channels
        return {"length": length, "in_features": max(spec.shape[1], features)}
    size = max(height, width)
    if not _masks(source):
        size = max(size, *spec.shape[:2])
    return {"in_channels": channels, "image_size": size}


def fit(source: Source, config: Config, loss: str) -> Callable[[Batch], Batch]:
    """Return the function that fits batches of this data to a model and its loss.

    Raises ConfigError where they cannot be fitted.
    """
    check_task(source, config)
    spec, *others = config.inputs()
    for other in others:
        if not other.optional:
            raise ConfigError(
                f"{_name(config)} needs the input {other.name!r}, which {source.name}"
                " does not have."
            )
    if source.task != "language":
        _sizes(source, spec)  # raises for a shape that this data does not have
    width = _logits(source, config, loss)

    def fit_batch(batch: Batch) -> Batch:
        x = batch.inputs[0]
        if len(source.shape) == 3:
            x = pictures(x, spec, source.name, resize=not _masks(source))
        return Batch((np.ascontiguousarray(x),), _targets(batch.targets, loss, width))

    return fit_batch


def _logits(source: Source, config: Config, loss: str) -> int:
    """Return the number of logits, checked against the data's classes."""
    count = len(source.classes)
    field = "num_classes" if hasattr(config, "num_classes") else "vocabulary"
    width = getattr(config, field)
    if width < count and (width, count) != (1, 2):
        raise ConfigError(
            f"{source.name} has {count} classes; {field}={width} is too few."
            f" Set {field}={count}."
        )
    if width == 1 and loss == "cross_entropy":
        raise ConfigError(
            f"cross_entropy needs two logits or more; {field} is 1. Take bce."
        )
    return width


def _targets(ids: np.ndarray, loss: str, width: int) -> np.ndarray:
    """Return int32 ids, or for bce and mse float32 of the logits' shape."""
    if loss == "cross_entropy":
        return ids.astype(np.int32, copy=False)
    if width == 1:
        return ids[..., None].astype(np.float32)
    return np.eye(width, dtype=np.float32)[ids]


def pictures(x: np.ndarray, spec: Input, name: str, resize: bool = True) -> np.ndarray:
    """Return pictures (N, H, W, C), uint8 or ink in [0, 1], in a model's input shape.

    Without `resize` images keep their height and width.
    """
    if x.dtype == np.uint8:
        x = x.astype(np.float32)
        x /= 255
    if spec.kind == "token":
        return shapes.as_tokens(x[..., 0], min(spec.shape[0], 64), spec.high)
    if len(spec.shape) == 3:
        height, width, channels = spec.shape
        x = _coloured(x, channels, name)
        x = shapes.enlarged(x, height, width) if resize else x
        return shapes.normalise(x) if channels == 3 else x
    x = shapes.normalise(x) if x.shape[-1] == 3 else x
    if len(spec.shape) == 2:
        length, features = spec.shape
        x = shapes.enlarged(x, length, features // x.shape[-1])
        return _padded(x.reshape(*x.shape[:2], -1), features)
    [features] = spec.shape
    if features < 64 and name == "digits":
        return shapes.as_vectors(x[..., 0], features)
    side = math.isqrt(features // x.shape[-1])
    if side < max(x.shape[1:3]):
        needed = math.prod(x.shape[1:])
        raise ConfigError(
            f"{name} has pictures of {needed} numbers; in_features={features} is"
            f" too few. Set in_features={needed}."
        )
    x = shapes.enlarged(x, side, side)
    return _padded(x.reshape(len(x), -1), features)


def _padded(x: np.ndarray, size: int) -> np.ndarray:
    """Return x with its last axis padded with zeros."""
    spare = size - x.shape[-1]
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, spare)]) if spare else x


def _coloured(x: np.ndarray, channels: int, name: str) -> np.ndarray:
    """Return pictures with this many channels: repeats grey, or takes the luminance."""
    own = x.shape[-1]
    if own == channels:
        return x
    if own == 1:
        return np.repeat(x, channels, -1)
    if channels == 1:
        return x @ np.array(LUMINANCE, np.float32)[:, None]
    raise ConfigError(
        f"{name} has pictures of {own} channels, which do not make {channels}."
        f" Set in_channels={own}."
    )
