"""Rows of metrics: one JSON object per line, whose floats are exact when read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FileError

Row = Mapping[str, Any]  # {"split": "train", "step": 1, "epoch": 0, "loss": 2.3, …}


def plain(row: Row) -> dict[str, Any]:
    """Return a row as JSON values.

    JSON has no NaN and no infinity: they become the strings "NaN", "Infinity" and
    "-Infinity", which Python's `float` reads.
    """
    return {key: _plain(value) for key, value in row.items()}


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):  # NumPy's scalars
        value = value.item()
    if isinstance(value, dict):
        return plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    return value


def json_line(row: Row) -> str:
    """Return a row as one line of JSON, with its line break."""
    return json.dumps(plain(row), allow_nan=False) + "\n"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a metrics file, without an unfinished last line.

    Raises FileError for any other line that is no row.
    """
    rows = []
    lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            row = {key: _number(value) for key, value in json.loads(line).items()}
            row["split"], row["step"]
            rows.append(row)
        except (ValueError, AttributeError, KeyError):
            if number < len(lines):
                raise FileError(
                    f"{path}, line {number}, is no row of metrics: mend or remove it."
                ) from None
    return rows


def _number(value: Any) -> Any:
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value
