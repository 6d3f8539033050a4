"""The timed calls of a Keras model on TensorFlow: tf.function and GradientTape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LOSSES: dict[str, Any] = {
    "cross_entropy": keras.losses.SparseCategoricalCrossentropy,
    "bce": keras.losses.BinaryCrossentropy,
}


def native(array: np.ndarray) -> tf.Tensor:
    """Return a channels-last NumPy array as a constant."""
    return tf.constant(array)


def targets(logits: tf.Tensor, loss: str) -> tf.Tensor:
    """Return targets of the right form: the model's own predictions."""
    if loss == "cross_entropy":
        return tf.argmax(logits, axis=-1)
    return tf.cast(logits > 0, logits.dtype)


def forward(model: keras.Model, x: tf.Tensor) -> Callable[[], tf.Tensor]:
    """Return the call that computes the logits in eval mode."""

    @tf.function
    def logits(x: tf.Tensor) -> tf.Tensor:
        return model(x, training=False)

    return lambda: logits(x)


def train_step(
    model: keras.Model, x: tf.Tensor, y: tf.Tensor, loss: str
) -> Callable[[], Any]:
    """Return the call that computes loss and gradients in train mode."""
    objective = LOSSES[loss](from_logits=True)

    @tf.function
    def step(x: tf.Tensor, y: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            value = objective(y, model(x, training=True))
        return value, tape.gradient(value, model.trainable_variables)

    return lambda: step(x, y)


def count(model: keras.Model) -> int:
    """Return the number of trainable scalars."""
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def wait(model: keras.Model) -> None:
    """Do nothing: TensorFlow's CPU work is done when the call returns."""
