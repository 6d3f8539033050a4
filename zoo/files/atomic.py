"""Writing files atomically: complete, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..errors import FileError


def atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file atomically.

    Args:
        path: of the file.
        write: called with a temporary path beside it, which then replaces `path`.

    Raises:
        FileError: where it cannot be written.
    """
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
            umask = os.umask(0)  # setting it is the only way to read it
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"cannot write {path}: {reason}.") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) atomically.

    Raises FileError where it cannot be written.
    """
    atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
