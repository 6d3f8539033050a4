"""Train on digits with Keras's compile and fit: python examples/keras_fit.py."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

import zoo
from zoo.data import load
from zoo.data.batches import Batches

LR = 0.125  # a power of two is the same number in every precision


class BatchLosses(keras.callbacks.Callback):
    """Records the loss of each batch; Keras reports the mean since the epoch began."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.losses.append(float(logs["loss"]))


def losses(steps: int = 20, dtype: str = "float32") -> list[float]:
    """Train a small MLP by SGD; return the loss of every step, before its update."""
    keras.config.set_floatx(dtype)  # Keras computes the loss and its mean in floatx
    model = zoo.build("mlp", "tf", in_features=64, hidden=(32,), dtype=dtype)
    data = load("digits", model.config, seed=0)
    batches = Batches(data.train, 64, seed=0)

    def stream() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for step in range(steps):
            (x,), y = batches.batch(step)  # (64, 64) and (64,)
            yield x.astype(dtype), y

    model.compile(
        optimizer=keras.optimizers.SGD(LR),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    log = BatchLosses()
    model.fit(
        stream(), steps_per_epoch=steps, shuffle=False, callbacks=[log], verbose=0
    )
    return log.losses


if __name__ == "__main__":
    for step, loss in enumerate(losses(200), 1):
        print(f"step {step:3}  loss {loss:.6f}")
