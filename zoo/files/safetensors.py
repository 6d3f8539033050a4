"""Reading and writing safetensors; reading the weights in PyTorch's pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..backend import State
from ..errors import FileError
from ..registry import get_backend
from .atomic import atomically

_META = "__metadata__"
_MAX_HEADER = 100_000_000  # bytes, as safetensors itself


def read_file(path: Path) -> tuple[State, dict[str, str]]:
    """Return (arrays, metadata) of a safetensors file or a PyTorch pickle.

    The size and the header are checked before memory is taken; a pickle is read with
    `weights_only=True`.

    Raises:
        FileError: for a file that is missing, damaged or of another format.
        MissingBackendError: for a pickle where PyTorch is not installed.
    """
    if not path.is_file():
        raise FileError(f"no such file: {path}.")
    if path.suffix in (".pt", ".pth", ".bin"):
        get_backend("torch")  # raises where PyTorch is not installed
        from ..torch._weights import read_pickle

        return read_pickle(path), {}
    from safetensors import SafetensorError, safe_open

    try:
        _check_header(path)
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            names = file.keys()  # iterating over the file itself is an error
            return {name: file.get_tensor(name) for name in names}, metadata
    except (SafetensorError, TypeError) as error:
        raise FileError(
            f"{path} is not a readable safetensors file: {error}."
        ) from None


def write_safetensors(
    tensors: Mapping[str, np.ndarray], path: Path, metadata: dict[str, str]
) -> None:
    """Write tensors to a safetensors file, atomically.

    Raises FileError where it cannot be written.
    """
    from safetensors.numpy import save_file

    # safetensors ignores strides: it writes an array's memory as it is
    contiguous = {k: np.asarray(v, order="C") for k, v in tensors.items()}
    atomically(path, lambda temporary: save_file(contiguous, temporary, metadata))


def _check_header(path: Path) -> None:
    """Raise FileError where the header does not fit the file's size."""
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
        raise FileError(f"{path} is truncated: {size} bytes, {wanted} by its header.")
