"""The Protocol that every backend fulfils.

A backend is a framework and its package: `zoo.torch`, `zoo.tf`, `zoo.jax`. A module can
implement a Protocol, so the package itself is the backend object. What its functions
take and return is documented here, once; arrays are NumPy, batch first, channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .configs._base import Config
from .spec.batch import Batch, BatchSource
from .spec.tracing import Call, Pass, Sensitivity

State = dict[str, np.ndarray]  # canonical names and layouts: those of a state_dict
Model = Any  # nn.Module, keras.Model or nnx.Module: each backend returns its own


class Trainer(Protocol):
    """Trains one model, one update at a time.

    Made from (model, recipe, loss, compile, parallel): `loss` is "cross_entropy", "bce"
    or "mse"; `compile` is torch.compile or XLA; `parallel` shares each batch with the
    processes or devices that `join` found. The recipe's schedule, length and data are
    the caller's.
    """

    fewest: int  # examples that every part of a batch must have at least

    def step(
        self,
        batches: Sequence[Batch],
        lr: float,
        keys: Sequence[int],
        scale: float = 1.0,
    ) -> tuple[float, bool]:
        """Update the weights by the gradient of the mean loss over all batches.

        Args:
            batches: the parts of one batch, run one after the other.
            lr: the learning rate.
            keys: of the dropout masks, one for each part; see `zoo.spec.masks`.
            scale: of the loss, against underflow in fp16.

        Returns:
            The loss before the update, and whether there was one: not where the loss
            (or with fp16 a gradient) is not finite.
        """
        ...

    def sync(self) -> None:
        """Bring the model up to date with the training."""
        ...

    def slots(self) -> State:
        """Return the optimizer's state: `exp_avg/conv1.weight`, scalars by name."""
        ...

    def restore(self, slots: Mapping[str, np.ndarray]) -> None:
        """Continue from the model's weights and what `slots` of any backend returned.

        Empty slots are the start of a run.
        """
        ...

    def averaged(self) -> AbstractContextManager[None]:
        """Give the model what evaluation uses: averaged weights, full precision."""
        ...

    def lead(self, values: Sequence[float]) -> list[float]:
        """Return the values of the first process, in every process."""
        ...

    def close(self) -> None:
        """Give the model its own mode, flags and dtypes back."""
        ...


class Backend(Protocol):
    """What the zoo needs of a framework."""

    @property
    def DTYPES(self) -> Mapping[str, Any]:
        """The dtypes that models can have, by name."""
        ...

    # build

    def construct(
        self,
        cls: Any,
        config: Any,
        *,
        dtype: str,
        device: str | None,
        native_seed: int | None,
    ) -> Model:
        """Return `cls(config)`; its weights are unset unless `native_seed` is given.

        Raises InputError for a device that the framework cannot use.
        """
        ...

    # weights

    def submodules(self, model: Any) -> dict[str, Any]:
        """Return every submodule by canonical path, parents first; "" is the model."""
        ...

    def shapes(self, model: Any) -> dict[str, tuple[int, ...]]:
        """Return the canonical names and shapes without touching a weight."""
        ...

    def read(self, model: Any) -> State:
        """Return the weights and buffers; arrays may share the model's memory."""
        ...

    def write(self, model: Any, state: Mapping[str, np.ndarray]) -> None:
        """Set the weights and buffers from canonical arrays of the right shapes."""
        ...

    def trainable(self, model: Any) -> set[str]:
        """Return the canonical names that gradients reach."""
        ...

    def dropouts(self, model: Any) -> dict[str, float]:
        """Return the rate of every dropout that is not 0, by its canonical path."""
        ...

    def count(self, model: Any) -> int:
        """Return the framework's own count of scalars: parameters and buffers."""
        ...

    def dtype_of(self, model: Any) -> str:
        """Return the name of the parameters' dtype."""
        ...

    def save_native(self, model: Any, path: Path) -> None:
        """Write the file that the plain framework loads."""
        ...

    # run

    def exact(self, model: Any, dtype: str) -> AbstractContextManager[Model]:
        """Yield the model as it stands, in this dtype, at full precision (no TF32).

        Raises ZooError for a model that cannot be cast.
        """
        ...

    def forward(self, model: Any, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Return the outputs in eval mode; the model's own mode is restored."""
        ...

    def backward(
        self,
        model: Any,
        inputs: Sequence[np.ndarray],
        targets: Mapping[str, np.ndarray],
        loss: str,
    ) -> Pass:
        """Run forward in training mode, without dropout, and backward from `loss`.

        `targets` hold one array for each loss to compute. The model is unchanged after.
        """
        ...

    # train

    @property
    def Trainer(self) -> Callable[..., Trainer]:
        """The class that trains a model; see `zoo.backend.Trainer`."""
        ...

    def join(self, model: Any) -> bool:
        """Join the other processes or devices; return whether this process is first.

        Raises ConfigError where there are none to join.
        """
        ...

    @property
    def loader(self) -> Callable[..., Any]:
        """Return the batches of an epoch, in the form of the framework's own loops.

        Called with (batches: BatchSource, epoch: int = 0): a DataLoader, a
        tf.data.Dataset, or an iterable of JAX arrays.
        """
        ...

    # look inside

    def facts(self, module: Any) -> dict[str, float]:
        """Return a layer's constants as PyTorch names and means them: eps and so on.

        Such as momentum, which Keras and Flax take the other way round.
        """
        ...

    def trace(
        self,
        model: Any,
        inputs: Sequence[np.ndarray],
        training: bool = False,
        forced: Mapping[tuple[str, int], Call] | None = None,
    ) -> list[Call]:
        """Return every submodule's call in order of completion (see `Recorder`)."""
        ...

    def sensitivities(
        self,
        model: Any,
        inputs: Sequence[np.ndarray],
        targets: np.ndarray,
        objective: str,
        training: bool = False,
    ) -> Sensitivity:
        """Run forward and backward once, without dropout; the model is unchanged after.

        Args:
            model: whose submodules' outputs are wanted.
            inputs: in call order.
            targets: what the objective compares the outputs with.
            objective: a loss, or "score": the sum of the outputs times the targets.
            training: normalise by the batch's statistics, not the running ones.
        """
        ...

    # time

    def settle(self, threads: int) -> dict[str, Any]:
        """Set threads and precision, the same in all backends; return the settings.

        Raises ConfigError where the framework has already run, so that its threads are
        fixed.
        """
        ...

    def arrange(self, model: Any, channels_last: bool) -> Model:
        """Return the model, its convolutions stored channels last if asked."""
        ...

    def inference(
        self, model: Any, inputs: Sequence[np.ndarray], compile: bool
    ) -> Callable[[], Any]:
        """Return a call that runs one forward pass and waits until it is done.

        The inputs are converted here, once. `compile` is torch.compile or XLA.
        """
        ...

    def outside(self, output: Any) -> np.ndarray:
        """Return what such a call returned as NumPy, channels last."""
        ...

    def matmul(self, size: int, device: str | None = None) -> Callable[[], Any]:
        """Return a call of one float32 product of two (size, size) matrices."""
        ...

    def profile(
        self, call: Callable[[], Any], folder: Path
    ) -> list[tuple[str, float, int]]:
        """Run a call under the framework's profiler; leave its trace in `folder`.

        Returns (operator, seconds in all, calls), the slowest first.
        """
        ...


if TYPE_CHECKING:
    from . import jax, tf, torch

    _FULFILLED: tuple[Backend, ...] = (torch, tf, jax)  # the type checker proves it

__all__ = ["Backend", "Batch", "BatchSource", "Config", "Model", "State", "Trainer"]
