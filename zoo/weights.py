"""State and files: canonical weights, safetensors, and crossing between rooms."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from .backend import Model, State
from .configs._base import Config
from .errors import ConfigError, FileError, StateError, unknown
from .initializers import initial_state
from .models import resolve
from .registry import (
    config_from_key,
    config_key,
    room,
    room_name,
    room_of,
    twin,
)

FORMAT_VERSION = 1
_META = "__metadata__"
_MAX_HEADER = 100_000_000  # bytes, as safetensors itself


def state(model: Model) -> State:
    """Return weights and buffers: canonical names and layouts, copies.

    Names and layouts are those of a PyTorch state_dict, without num_batches_tracked.
    """
    return {
        name: np.array(a, order="C") for name, a in room_of(model).read(model).items()
    }


def load_state(model: Model, state: Mapping[str, np.ndarray]) -> None:
    """Set a model's weights and buffers from canonical arrays.

    Raises StateError, listing every mismatch from both sides, and leaves the model
    untouched.
    """
    here = room_of(model)
    here.write(model, fit(model.config, here.shapes(model), state))


def fit(
    config: Config,
    shapes: Mapping[str, tuple[int, ...]],
    state: Mapping[str, np.ndarray],
) -> State:
    """Return the arrays of `state` under exactly the names of `shapes`.

    Forgives what public checkpoints carry: a prefix, `num_batches_tracked`, auxiliary
    heads and masks that the config names, a tied alias that is bit-equal, and PyTorch's
    second recurrent bias, which is added into the first.
    """
    arrays: State = {}
    problems = []
    for given, array in state.items():
        name = _plain(config, shapes, given)
        if name in arrays:
            problems.append(f"{given}: names {name} a second time")
        arrays[name] = np.asarray(array)
    for alias, name in config.tied.items():
        if alias not in shapes and alias in arrays:
            twin_array = arrays.pop(alias)
            if name in arrays and not np.array_equal(twin_array, arrays[name]):
                problems.append(f"{alias}: differs from {name}, to which it is tied")
    for name in [n for n in arrays if _is_second_bias(n, shapes)]:
        first = name.replace("bias_hh", "bias_ih")
        second = arrays.pop(name)
        if first in arrays and np.shape(second) == np.shape(arrays[first]):
            if second.any():
                warnings.warn(
                    f"{name} was added into {first}: this model has one bias.",
                    stacklevel=3,
                )
            arrays[first] = arrays[first] + second
        else:
            wanted = tuple(shapes[first])
            problems.append(f"{name}: expected {wanted}, got {np.shape(second)}")
    for name, shape in shapes.items():
        if name not in arrays:
            problems.append(f"{name}: missing, expected {shape}")
        elif arrays[name].shape != tuple(shape):
            problems.append(f"{name}: expected {shape}, got {arrays[name].shape}")
        elif arrays[name].dtype.kind != "f" and arrays[name].dtype.name != "bfloat16":
            problems.append(f"{name}: expected floats, got {arrays[name].dtype}")
        elif not np.isfinite(arrays[name].astype(np.float64, copy=False)).all():
            problems.append(f"{name}: holds NaN or infinity")
    for name in arrays:
        if name not in shapes and not _ignored(config, name):
            problems.append(f"{name}: surplus, of shape {arrays[name].shape}")
    if problems:
        head = f"weights do not fit {type(config).__name__}: {len(problems)} mismatches"
        raise StateError("\n  ".join([head, *problems]))
    return {name: arrays[name] for name in shapes}


def _plain(config: Config, shapes: Mapping[str, Any], name: str) -> str:
    for prefix in config.prefixes:
        if name not in shapes and name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _is_second_bias(name: str, shapes: Mapping[str, Any]) -> bool:
    first = name.replace("bias_hh", "bias_ih")
    return "bias_hh" in name and name not in shapes and first in shapes


def _ignored(config: Config, name: str) -> bool:
    if name.endswith("num_batches_tracked"):
        return True
    return any(fnmatchcase(name, pattern) for pattern in config.ignored)


def convert(model: Model, backend: str, *, device: str | None = None) -> Model:
    """Return the same model in another room: same config, weights, buffers, dtype."""
    here, there = room_of(model), room(backend)
    other = there.construct(
        twin(model.config, backend),
        model.config,
        dtype=here.dtype_of(model),
        device=device,
        native_seed=None,
    )
    there.write(other, here.read(model))
    return other


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model as safetensors, with its config in the metadata, atomically.

    One file serves every room; `torch.nn.Module.load_state_dict(strict=True)` of the
    zoo's own torch class takes its tensors as they are.
    """
    from . import __version__

    metadata = {
        "format": "pt",  # what torch's and HF's own loaders look for
        "format_version": str(FORMAT_VERSION),
        "zoo_version": __version__,
        "architecture": config_key(model.config),
        "config": json.dumps(model.config.to_dict()),
        "dtype": room_of(model).dtype_of(model),
    }
    write_safetensors(room_of(model).read(model), Path(path), metadata)


def write_safetensors(
    tensors: Mapping[str, np.ndarray], path: Path, metadata: dict[str, str]
) -> None:
    """Write tensors to a safetensors file, atomically."""
    from safetensors.numpy import save_file

    # safetensors writes the memory of an array whatever its strides
    solid = {k: np.asarray(v, order="C") for k, v in tensors.items()}
    atomically(path, lambda temporary: save_file(solid, temporary, metadata))


def atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then move it there in one step."""
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
        )
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"cannot write {path}: {reason}.") from error


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
    """Load a model from a file into any room.

    Args:
        path: a safetensors file of the zoo, or a public checkpoint of a preset that
            the zoo mirrors (safetensors, or PyTorch's .pt/.pth, read as weights only).
        backend: the room to load into.
        name: preset or config of a file that the zoo did not write.
        dtype: None keeps the file's.
        device: as in `build`.
        num_classes: give the model a new head with so many logits, to fine-tune it;
            all weights that depend on that number start anew, and a warning names them.
        seed: of the new head.
        **overrides: config fields, with `name`.

    Raises:
        FileError: for a file that is truncated, oversized, no such file or too new.
        StateError: for weights that do not fit, listing every mismatch.
    """
    path, here = Path(path), room(backend)
    if overrides and name is None:
        raise ConfigError("overrides change a preset: give name= as well.")
    if dtype is not None and dtype not in here.DTYPES:
        raise unknown("dtype", dtype, here.DTYPES)
    arrays, metadata = read_file(path)
    config = config_of(path, metadata, name, overrides)
    if dtype is None and metadata.get("dtype") in here.DTYPES:
        dtype = metadata["dtype"]
    dtype = dtype or _common_dtype(arrays, here.DTYPES)

    def hollow(config: Config) -> Model:
        return here.construct(
            twin(config, backend), config, dtype=dtype, device=device, native_seed=None
        )

    model = hollow(config)
    try:
        weights = fit(config, here.shapes(model), arrays)
    except StateError as error:
        raise StateError(f"{path}: {error}") from None
    if num_classes is not None:
        model = hollow(config.override(num_classes=num_classes))
        weights |= _new_head(model.config, weights, here.shapes(model), seed)
    here.write(model, weights)
    return model


def _new_head(
    config: Config, weights: State, shapes: Mapping[str, tuple[int, ...]], seed: int
) -> State:
    """Return fresh weights for those whose shape is another than before."""
    new = {n: s for n, s in shapes.items() if weights[n].shape != tuple(s)}
    if new:
        warnings.warn(
            f"{', '.join(new)} start anew, for {config.to_dict()['num_classes']}"
            " classes; all other weights are the file's.",
            stacklevel=3,
        )
    return initial_state(config, new, seed)


def _common_dtype(arrays: State, known: Mapping[str, Any]) -> str:
    dtypes = {str(a.dtype) for a in arrays.values() if str(a.dtype) in known}
    return dtypes.pop() if len(dtypes) == 1 else "float32"


def config_of(
    path: Path,
    metadata: Mapping[str, str],
    name: str | Config | None,
    overrides: dict[str, Any],
) -> Config:
    """Return the config that a file's metadata tell, or that the caller names."""
    if "format_version" not in metadata or "architecture" not in metadata:
        if name is None:
            raise FileError(
                f"{path} was not written by zoo, so it does not say what it holds:"
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


def read_file(path: Path) -> tuple[State, dict[str, str]]:
    """Return (arrays, metadata) of a safetensors file or a PyTorch pickle.

    Sizes and header are checked before memory is taken; a pickle is read with
    `weights_only=True`.
    """
    if not path.is_file():
        raise FileError(f"no such file: {path}.")
    if path.suffix in (".pt", ".pth", ".bin"):
        from . import registry

        registry.room("torch")
        from .torch._weights import read_pickle

        return read_pickle(path), {}
    from safetensors import SafetensorError, safe_open

    try:
        _check_header(path)
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            names = file.keys()  # the file itself cannot be iterated
            return {name: file.get_tensor(name) for name in names}, metadata
    except (SafetensorError, TypeError) as error:
        raise FileError(
            f"{path} is not a readable safetensors file: {error}."
        ) from None


def _check_header(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            raise FileError(
                f"{path} is truncated or no safetensors file: {size} bytes, of which"
                f" its header claims {length}."
            )
        try:
            header = json.loads(file.read(length))
            offsets = [v["data_offsets"] for k, v in header.items() if k != _META]
            wanted = 8 + length + max((int(end) for _, end in offsets), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise FileError(f"{path} has no readable safetensors header.") from None
    if size != wanted:
        raise FileError(
            f"{path} is truncated: {size} bytes, its header tells {wanted}."
        )


def export_native(model: Model, path: str | os.PathLike[str], backend: str) -> None:
    """Write what the plain framework loads.

    torch: a state_dict as safetensors, for the plain reference class; tf: `.keras`;
    jax: safetensors with NNX paths and layouts.
    """
    target = convert(model, backend)
    if room_name(backend) == "tf" and Path(path).suffix != ".keras":
        raise FileError(f"Keras wants a file name that ends in .keras; got {path}.")
    atomically(
        Path(path), lambda temporary: room_of(target).save_native(target, temporary)
    )
