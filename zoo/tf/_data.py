"""Batches for plain Keras loops: a tf.data.Dataset, channels last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from ..spec.batch import BatchSource


def loader(batches: BatchSource, epoch: int = 0) -> Any:
    """Return the batches of an epoch as a tf.data.Dataset, in the order of `fit`.

    It yields (inputs, targets): images and masks as float (N, H, W, C), ids as int32,
    and a tuple of inputs for a model that takes several. Its cardinality is known.
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
    dataset = tf.data.Dataset.from_generator(examples, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(count))


def _form(inputs: tuple[Any, ...], targets: Any) -> tuple[Any, Any]:
    return inputs[0] if len(inputs) == 1 else inputs, targets
