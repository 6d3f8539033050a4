"""Batches as Keras's own loops take them: a tf.data.Dataset, channels last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from ..spec.batch import BatchSource


def loader(batches: BatchSource, epoch: int = 0) -> Any:
    """Return the batches of an epoch as a tf.data.Dataset, in `fit`'s order.

    Args:
        batches: such as `zoo.data.batches.Batches`.
        epoch: which one, from 0; each has an order of its own.

    Yields:
        (inputs, targets): float (N, H, W, C) and so on, ids int32; a tuple of inputs
        where the model takes several. Its cardinality is known.
    """
    import tensorflow as tf

    count = batches.steps_per_epoch
    first = epoch * count

    def examples() -> Iterator[Any]:
        for batch in batches.stream(first, first + count):
            yield _form(batch.inputs, batch.targets)

    def spec(array: np.ndarray) -> Any:
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    inputs, targets = batches.batch(first)
    signature = _form(tuple(map(spec, inputs)), spec(targets))
    found = tf.data.Dataset.from_generator(examples, output_signature=signature)
    return found.apply(tf.data.experimental.assert_cardinality(count))


def _form(inputs: tuple[Any, ...], targets: Any) -> tuple[Any, Any]:
    return inputs[0] if len(inputs) == 1 else inputs, targets
