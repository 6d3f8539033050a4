"""The Protocol that a room fulfils. A module can implement it: the package is it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .batch import Batch
from .configs._base import Config
from .tracing import Call, Pass, Sensitivity

State = dict[str, np.ndarray]
Model = Any  # nn.Module, keras.Model or nnx.Module: each room returns its own


class Trainer(Protocol):
    """Trains one model; documented in the rooms.

    `fewest` is how many examples every part of a batch must have at least.
    """

    fewest: int

    def step(
        self,
        batches: Sequence[Batch],
        lr: float,
        keys: Sequence[int],
        scale: float = 1.0,
    ) -> tuple[float, bool]: ...
    def sync(self) -> None: ...
    def slots(self) -> State: ...
    def restore(self, slots: Mapping[str, np.ndarray]) -> None: ...
    def averaged(self) -> AbstractContextManager[None]: ...
    def lead(self, values: Sequence[float]) -> list[float]: ...
    def close(self) -> None: ...


class Backend(Protocol):
    """What the zoo needs of a framework; each function is documented in the rooms."""

    @property
    def DTYPES(self) -> Mapping[str, Any]: ...

    # build
    def construct(
        self,
        cls: Any,
        config: Any,
        *,
        dtype: str,
        device: str | None,
        native_seed: int | None,
    ) -> Model: ...

    # weights
    def shapes(self, model: Any) -> dict[str, tuple[int, ...]]: ...
    def read(self, model: Any) -> State: ...
    def write(self, model: Any, state: Mapping[str, np.ndarray]) -> None: ...
    def trainable(self, model: Any) -> set[str]: ...
    def dropouts(self, model: Any) -> dict[str, float]: ...
    def count(self, model: Any) -> int: ...
    def dtype_of(self, model: Any) -> str: ...
    def save_native(self, model: Any, path: Path) -> None: ...

    # run
    def exact(self, model: Any, dtype: str) -> AbstractContextManager[Model]: ...
    def forward(self, model: Any, inputs: Sequence[np.ndarray]) -> np.ndarray: ...
    def backward(
        self,
        model: Any,
        inputs: Sequence[np.ndarray],
        targets: Mapping[str, np.ndarray],
        loss: str,
    ) -> Pass: ...

    # train
    @property
    def Trainer(self) -> Callable[..., Trainer]: ...
    def join(self, model: Any) -> bool: ...

    # look inside
    def submodules(self, model: Any) -> dict[str, Any]: ...
    def facts(self, module: Any) -> dict[str, float]: ...
    def trace(
        self,
        model: Any,
        inputs: Sequence[np.ndarray],
        training: bool = False,
        forced: Mapping[tuple[str, int], Call] | None = None,
    ) -> list[Call]: ...
    def sensitivities(
        self,
        model: Any,
        inputs: Sequence[np.ndarray],
        targets: np.ndarray,
        objective: str,
        training: bool = False,
    ) -> Sensitivity: ...

    # time
    def settle(self, threads: int) -> dict[str, Any]: ...
    def arrange(self, model: Any, channels_last: bool) -> Model: ...
    def inference(
        self, model: Any, inputs: Sequence[np.ndarray], compile: bool
    ) -> Callable[[], Any]: ...
    def outside(self, output: Any) -> np.ndarray: ...
    def matmul(self, size: int, device: str | None = None) -> Callable[[], Any]: ...
    def profile(
        self, call: Callable[[], Any], folder: Path
    ) -> list[tuple[str, float, int]]: ...


__all__ = ["Backend", "Config", "Model", "State", "Trainer"]
