"""A training step of Keras on TensorFlow as a good engineer writes it by hand."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf


def by_hand(
    model: keras.Model, images: np.ndarray, labels: np.ndarray, lr: float, decay: float
) -> Callable[[np.ndarray], float]:
    """Return a step: it trains on the examples at some indices, returns the loss."""
    optimizer = keras.optimizers.AdamW(lr, weight_decay=decay, epsilon=1e-8)
    optimizer.build(model.trainable_variables)
    objective = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def train(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = objective(y, model(x, training=True))
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))
        return loss

    def step(indices: np.ndarray) -> float:
        return float(train(tf.constant(images[indices]), tf.constant(labels[indices])))

    return step
