"""The Protocol that a room fulfils. A module can implement it: the package is it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .configs._base import Config
from .tracing import Call, Pass

State = dict[str, np.ndarray]
Model = Any  # nn.Module, keras.Model or nnx.Module: each room returns its own


class Backend(Protocol):
    """What the zoo needs of a framework; each function is documented in the rooms."""

    @property
    def DTYPES(self) -> Mapping[str, Any]: ...  # noqa: D102, N802

    # build
    def construct(  # noqa: D102
        self,
        cls: Any,
        config: Any,
        *,
        dtype: str,
        device: str | None,
        native_seed: int | None,
    ) -> Model: ...

    # weights
    def shapes(self, model: Any) -> dict[str, tuple[int, ...]]: ...  # noqa: D102
    def read(self, model: Any) -> State: ...  # noqa: D102
    def write(self, model: Any, state: Mapping[str, np.ndarray]) -> None: ...  # noqa: D102
    def trainable(self, model: Any) -> set[str]: ...  # noqa: D102
    def count(self, model: Any) -> int: ...  # noqa: D102
    def dtype_of(self, model: Any) -> str: ...  # noqa: D102
    def save_native(self, model: Any, path: Path) -> None: ...  # noqa: D102

    # run
    def exact(  # noqa: D102
        self, model: Any, dtype: str
    ) -> AbstractContextManager[Model]: ...
    def forward(self, model: Any, inputs: Sequence[np.ndarray]) -> np.ndarray: ...  # noqa: D102
    def backward(  # noqa: D102
        self,
        model: Any,
        inputs: Sequence[np.ndarray],
        targets: Mapping[str, np.ndarray],
        loss: str,
    ) -> Pass: ...

    # look inside
    def submodules(self, model: Any) -> dict[str, Any]: ...  # noqa: D102
    def facts(self, module: Any) -> dict[str, float]: ...  # noqa: D102
    def trace(  # noqa: D102
        self,
        model: Any,
        inputs: Sequence[np.ndarray],
        training: bool = False,
        forced: Mapping[tuple[str, int], Call] | None = None,
    ) -> list[Call]: ...


__all__ = ["Backend", "Config", "Model", "State"]
