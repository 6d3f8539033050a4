"""Canonical weights: reading, setting, converting, saving and loading them."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Model, State
from ..configs._base import Config
from ..errors import ConfigError, FileError, StateError
from ..models import construct, resolve
from ..registry import backend_id, config_from_key, config_key, get_backend
from ..spec.initializers import initial_state
from ..version import __version__
from .atomic import atomically
from .matching import match
from .safetensors import read_file, write_safetensors

FORMAT_VERSION = 1


def state(model: Model) -> State:
    """Return copies of the weights and buffers, under canonical names and layouts.

    Names and layouts are those of a PyTorch state_dict, without num_batches_tracked.
    """
    return {
        name: np.array(a, order="C")
        for name, a in get_backend(model).read(model).items()
    }


def load_state(model: Model, state: Mapping[str, np.ndarray]) -> None:
    """Set a model's weights and buffers from canonical arrays.

    Raises StateError, which lists every mismatch of names and shapes; the model is
    then unchanged.
    """
    backend = get_backend(model)
    backend.write(model, match(model.config, backend.shapes(model), state))


def convert(model: Model, backend: str, *, device: str | None = None) -> Model:
    """Return the same model in another backend: config, weights, buffers and dtype.

    Args:
        model: of any backend.
        backend: "torch", "tf" or "jax", or an alias.
        device: as in `build`.
    """
    source = get_backend(model)
    dtype = source.dtype_of(model)
    twin = construct(model.config, backend, dtype=dtype, device=device)
    get_backend(twin).write(twin, source.read(model))
    return twin


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model as safetensors, with its config in the metadata, atomically.

    Every backend loads the same file. Its tensors are a state_dict of the zoo's own
    torch class, for `load_state_dict(strict=True)`.
    """
    metadata = {
        "format": "pt",  # which Hugging Face's loaders require
        "format_version": str(FORMAT_VERSION),
        "zoo_version": __version__,
        "architecture": config_key(model.config),
        "config": json.dumps(model.config.to_dict()),
        "dtype": get_backend(model).dtype_of(model),
    }
    write_safetensors(get_backend(model).read(model), Path(path), metadata)


def load(
    path: str | os.PathLike[str],
    backend: str = "torch",
    *,
    name: str | Config | None = None,
    dtype: str | None = None,
    device: str | None = None,
    num_classes: int | None = None,
    seed: int = 0,
    **overrides: Any,
) -> Model:
    """Load a model from a file into any backend.

    Args:
        path: a safetensors file of the zoo, or a public checkpoint of a preset that
            the zoo mirrors (safetensors, or PyTorch's .pt/.pth, read as weights only).
        backend: "torch", "tf" or "jax", or an alias.
        name: preset or config of a file that the zoo did not write.
        dtype: of the model; None keeps the file's.
        device: as in `build`.
        num_classes: gives the model a new head of this many logits, to fine-tune it;
            all weights whose shape changes start anew, and a warning lists them.
        seed: of the new head.
        **overrides: config fields, with `name`.

    Raises:
        FileError: for a file that is missing, damaged, or of a later format version.
        StateError: for weights that do not fit; it lists every mismatch.
    """
    path, package = Path(path), get_backend(backend)
    if overrides and name is None:
        raise ConfigError("overrides change a preset: give name= as well.")
    arrays, metadata = read_file(path)
    config = config_of(path, metadata, name, overrides)
    if dtype is None and metadata.get("dtype") in package.DTYPES:
        dtype = metadata["dtype"]
    dtype = dtype or _common_dtype(arrays, package.DTYPES)
    model = construct(config, backend, dtype=dtype, device=device)
    try:
        weights = match(config, package.shapes(model), arrays)
    except StateError as error:
        raise StateError(f"{path}: {error}") from None
    if num_classes is not None:
        config = config.override(num_classes=num_classes)
        model = construct(config, backend, dtype=dtype, device=device)
        weights |= _new_head(config, weights, package.shapes(model), seed)
    package.write(model, weights)
    return model


def _new_head(
    config: Config, weights: State, shapes: Mapping[str, tuple[int, ...]], seed: int
) -> State:
    """Return initial weights for those whose shape has changed."""
    new = {n: s for n, s in shapes.items() if weights[n].shape != tuple(s)}
    if new:
        warnings.warn(
            f"{', '.join(new)} start anew, for {config.to_dict()['num_classes']}"
            " classes; all other weights are the file's.",
            stacklevel=3,
        )
    return initial_state(config, new, seed)


def _common_dtype(arrays: State, known: Mapping[str, Any]) -> str:
    """Return the dtype that all arrays have in common, or else float32."""
    dtypes = {str(a.dtype) for a in arrays.values() if str(a.dtype) in known}
    return dtypes.pop() if len(dtypes) == 1 else "float32"


def config_of(
    path: Path,
    metadata: Mapping[str, str],
    name: str | Config | None,
    overrides: dict[str, Any],
) -> Config:
    """Return the config in a file's metadata, or the one that the caller names."""
    if "format_version" not in metadata or "architecture" not in metadata:
        if name is None:
            raise FileError(
                f"{path} was not written by zoo, so its architecture is unknown:"
                " pass name=, such as name='resnet50'."
            )
        return resolve(name, **overrides)
    version = metadata["format_version"]
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise FileError(
            f"{path} has format_version {version}, written by zoo"
            f" {metadata.get('zoo_version', '?')}; this zoo reads up to"
            f" {FORMAT_VERSION}. Update zoo."
        )
    try:
        values = json.loads(metadata["config"])
        config = config_from_key(metadata["architecture"], values)
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path}: unreadable config in its metadata: {error}") from None
    if name is not None and resolve(name, **overrides) != config:
        raise ConfigError(
            f"{path} holds {metadata['architecture']} with {metadata['config']}, which"
            " is not the architecture that was asked for; leave name out."
        )
    return config


def export_native(model: Model, path: str | os.PathLike[str], backend: str) -> None:
    """Write a file that the framework itself loads, without the zoo's help.

    torch: a state_dict as safetensors, for the plain reference class; tf: a `.keras`
    file; jax: safetensors with NNX paths and layouts.
    """
    target = convert(model, backend)
    if backend_id(backend) == "tf" and Path(path).suffix != ".keras":
        raise FileError(f"Keras wants a file name that ends in .keras; got {path}.")
    atomically(
        Path(path), lambda temporary: get_backend(target).save_native(target, temporary)
    )
