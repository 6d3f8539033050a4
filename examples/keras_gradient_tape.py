"""Train on digits in Keras, with a loop: python examples/keras_gradient_tape.py."""

import keras
import tensorflow as tf

import zoo
from zoo.data import load
from zoo.data.batches import Batches

LR = 0.125  # a power of two is the same number in every precision


def losses(steps: int = 20, dtype: str = "float32") -> list[float]:
    """Train a small MLP by SGD; return the loss of every step, before its update."""
    model = zoo.build("mlp", "tf", in_features=64, hidden=(32,), dtype=dtype)
    data = load("digits", model.config, seed=0)
    batches = Batches(data.train, 64, seed=0)

    optimizer = keras.optimizers.SGD(LR)
    criterion = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, dtype=dtype
    )

    @tf.function(reduce_retracing=True)
    def train_step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = criterion(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    history = []
    for step in range(steps):
        (x,), y = batches.batch(step)  # (64, 64) and (64,), NumPy
        history.append(float(train_step(tf.constant(x, dtype), tf.constant(y))))
    return history


if __name__ == "__main__":
    for step, loss in enumerate(losses(200), 1):
        print(f"step {step:3}  loss {loss:.6f}")
