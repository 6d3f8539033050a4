"""The training step in Keras on JAX or torch, through Keras's own `train_on_batch`.

Keras gives no gradients there without the engine's own framework, which this room does
not import. So what needs them is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from ..errors import ConfigError
from ..spec.batch import Batch, check_targets
from ..spec.recipe import Recipe
from ._layers import Model, dtype_scope
from ._optimizers import optimizer
from ._run import dtype_of, loss_function
from ._weights import held, shapes


def join(model: Model) -> bool:
    """Raise ConfigError: parallel training is TensorFlow's alone."""
    raise _refused("parallel training")


def _refused(what: str) -> ConfigError:
    return ConfigError(
        f"Keras on {keras.backend.backend()} cannot do {what}: leave it out, or start"
        " with KERAS_BACKEND=tensorflow."
    )


class Whole(keras.Model):
    """A model under one tuple of inputs, as Keras's own loops call it."""

    def __init__(self, model: Model, loss: str = "mse", smoothing: float = 0.0) -> None:
        super().__init__(dtype=model.dtype_policy)
        self.model, self._kind = model, loss
        self._function = loss_function(loss, smoothing)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Map the tuple of inputs to the model's outputs."""
        return self.model(*inputs, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the mean loss; Keras's own wrapper would make floats of ids."""
        check_targets(self._kind, tuple(y_pred.shape), tuple(y.shape))
        return self._function(y_pred, ops.convert_to_tensor(y))


class Trainer:
    """Trains a model in place, one update at a time.

    An update by a loss that is not finite is not held back: the weights are then lost.

    Args:
        model: float32, or float64 where the engine has it.
        recipe: what to do; its schedule, length and data are the caller's. Raises
            ConfigError for what Keras's own training cannot do.
        loss: "cross_entropy", "bce" or "mse".
        compile: let the engine's compiler have the step; JAX's always does.
        parallel: refused.
    """

    fewest = 1

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        loss: str,
        compile: bool = False,
        parallel: bool = False,
    ) -> None:
        for what, asked in (
            ("parallel training", parallel),
            ("accumulate", recipe.accumulate > 1),
            ("ema", recipe.ema is not None),
            ("deterministic_dropout", recipe.deterministic_dropout),
            (f"precision {recipe.precision}", recipe.precision in ("bf16", "fp16")),
            ("lr_groups", bool(recipe.lr_groups)),
            ("freeze", bool(recipe.freeze)),
            ("clip_norm with clip_value", None not in _clips(recipe)),
        ):
            if asked:
                raise _refused(what)
        self.model, self.dtype = model, dtype_of(model)
        self._drops = [
            m
            for m in model._flatten_layers()
            if isinstance(m, layers.Dropout) and m.rate
        ]
        self._whole = Whole(model, loss, recipe.label_smoothing)
        names = {id(v): n for v, n in held(model)}
        variables = self._whole.trainable_variables
        with dtype_scope(self.dtype):
            self.optimizer = optimizer(
                [names[id(v)] for v in variables], recipe, shapes(model)
            )
            self.optimizer.build(variables)
        self.optimizer.global_clipnorm, self.optimizer.clipvalue = _clips(recipe)
        self._whole.compile(self.optimizer, jit_compile=compile or "auto")

    def step(
        self,
        batches: Sequence[Batch],
        lr: float,
        keys: Sequence[int],
        scale: float = 1.0,
    ) -> tuple[float, bool]:
        """Update the weights by the gradient of the mean loss over a batch.

        Args:
            batches: one batch, in one part.
            lr: the learning rate.
            keys: of the dropout masks, which Keras's own draws start from.
            scale: of the loss: 1.

        Returns:
            The loss before the update, and whether it is finite.
        """
        (batch,), (key,) = batches, keys
        self.optimizer.learning_rate = lr
        for i, m in enumerate(self._drops):
            m.seed_generator.state.assign(np.array([key, i], np.uint32))
        xs = tuple(map(self._array, batch.inputs))
        with dtype_scope(self.dtype):
            found = self._whole.train_on_batch(
                xs, self._array(batch.targets), return_dict=True
            )
        loss = float(found["loss"])
        return loss, bool(np.isfinite(loss))

    def _array(self, array: np.ndarray) -> np.ndarray:
        kinds = {"f": self.dtype, "i": "int32", "u": "int32"}
        return array.astype(kinds.get(array.dtype.kind, array.dtype), copy=False)

    def sync(self) -> None:
        """Bring the model up to date: here it always is."""

    def slots(self) -> dict[str, np.ndarray]:
        """Raise ConfigError: a run without its slots cannot go on."""
        raise _refused("checkpoints")

    def restore(self, slots: Mapping[str, np.ndarray]) -> None:
        """Raise ConfigError: there is nothing to go on from."""
        raise _refused("resuming")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the model be as evaluation wants it: as it is."""
        yield

    def lead(self, values: Sequence[float]) -> list[float]:
        """Return what the first process gave."""
        return list(values)

    def close(self) -> None:
        """Nothing to give back: the model was not changed."""


def _clips(recipe: Recipe) -> tuple[float | None, float | None]:
    return recipe.clip_norm, recipe.clip_value
