"""The training step in Keras on JAX or torch, through Keras's own `train_on_batch`.

There Keras returns gradients only through the engine's own framework, which this
backend does not import. So everything that needs them raises ConfigError.
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
    """Raise ConfigError: parallel training needs TensorFlow."""
    raise _refused("parallel training")


def _refused(feature: str) -> ConfigError:
    return ConfigError(
        f"Keras on {keras.backend.backend()} cannot do {feature}: leave it out, or"
        " start with KERAS_BACKEND=tensorflow."
    )


class Whole(keras.Model):
    """Takes a model's inputs as one tuple, as Keras's own loops pass them."""

    def __init__(self, model: Model, loss: str = "mse", smoothing: float = 0.0) -> None:
        super().__init__(dtype=model.dtype_policy)
        self.model, self._kind = model, loss
        self._function = loss_function(loss, smoothing)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the model's outputs for a tuple of inputs."""
        return self.model(*inputs, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the mean loss; Keras's own wrapper would turn ids into floats."""
        check_targets(self._kind, tuple(y_pred.shape), tuple(y.shape))
        return self._function(y_pred, ops.convert_to_tensor(y))


class Trainer:
    """Trains a model in place, one update at a time.

    A loss that is not finite still updates the weights, which are then lost. On JAX
    the step is always compiled. Raises ConfigError for `parallel`, and for what Keras's
    own training cannot do.
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
        for feature, wanted in (
            ("parallel training", parallel),
            ("accumulate", recipe.accumulate > 1),
            ("ema", recipe.ema is not None),
            ("deterministic_dropout", recipe.deterministic_dropout),
            (f"precision {recipe.precision}", recipe.precision in ("bf16", "fp16")),
            ("lr_groups", bool(recipe.lr_groups)),
            ("freeze", bool(recipe.freeze)),
            ("clip_norm with clip_value", None not in _clips(recipe)),
        ):
            if wanted:
                raise _refused(feature)
        self.model, self.dtype = model, dtype_of(model)
        self._drops = [
            m
            for m in model._flatten_layers()
            if isinstance(m, layers.Dropout) and m.rate
        ]
        self._wrapped = Whole(model, loss, recipe.label_smoothing)
        names = {id(v): n for v, n in held(model)}
        variables = self._wrapped.trainable_variables
        with dtype_scope(self.dtype):
            self.optimizer = optimizer(
                [names[id(v)] for v in variables], recipe, shapes(model)
            )
            self.optimizer.build(variables)
        self.optimizer.global_clipnorm, self.optimizer.clipvalue = _clips(recipe)
        self._wrapped.compile(self.optimizer, jit_compile=compile or "auto")

    def step(
        self,
        batches: Sequence[Batch],
        lr: float,
        keys: Sequence[int],
        scale: float = 1.0,
    ) -> tuple[float, bool]:
        """Update the weights by the gradient of the mean loss over a batch.

        The batch has one part, and its key seeds Keras's own dropout masks. `scale` is
        ignored. Returns the loss before the update, and whether it is finite.
        """
        (batch,), (key,) = batches, keys
        self.optimizer.learning_rate = lr
        for i, m in enumerate(self._drops):
            m.seed_generator.state.assign(np.array([key, i], np.uint32))
        xs = tuple(map(self._array, batch.inputs))
        with dtype_scope(self.dtype):
            logs = self._wrapped.train_on_batch(
                xs, self._array(batch.targets), return_dict=True
            )
        loss = float(logs["loss"])
        return loss, bool(np.isfinite(loss))

    def _array(self, array: np.ndarray) -> np.ndarray:
        kinds = {"f": self.dtype, "i": "int32", "u": "int32"}
        return array.astype(kinds.get(array.dtype.kind, array.dtype), copy=False)

    def sync(self) -> None:
        """Do nothing: the model is always up to date."""

    def slots(self) -> dict[str, np.ndarray]:
        """Raise ConfigError: checkpoints need TensorFlow."""
        raise _refused("checkpoints")

    def restore(self, slots: Mapping[str, np.ndarray]) -> None:
        """Raise ConfigError: resuming needs TensorFlow."""
        raise _refused("resuming")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Leave the model as it is: it has no averaged weights."""
        yield

    def lead(self, values: Sequence[float]) -> list[float]:
        """Return the values: there is only one process."""
        return list(values)

    def close(self) -> None:
        """Do nothing: the model was not changed."""


def _clips(recipe: Recipe) -> tuple[float | None, float | None]:
    return recipe.clip_norm, recipe.clip_value
