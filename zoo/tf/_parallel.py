"""One model on several replicas: MirroredStrategy, MultiWorkerMirroredStrategy.

Each replica takes its own rows of every batch. Loss and gradients are summed over the
replicas first, so all replicas do the same update.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ..errors import ConfigError
from ..spec.batch import Batch, share
from . import _layers
from ._run import _placed

_STRATEGIES = (
    tf.distribute.MirroredStrategy,
    tf.distribute.MultiWorkerMirroredStrategy,
)


def join(model: _layers.Model) -> bool:
    """Return whether this process is the strategy's first.

    Raises ConfigError outside a strategy's scope, and for a model built outside it.
    """
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, _STRATEGIES):
        raise ConfigError(
            "parallel training in Keras needs `with strategy.scope():` of a"
            " MirroredStrategy or MultiWorkerMirroredStrategy: build the model and call"
            " fit inside it."
        )
    known = strategy.extended.variable_created_in_scope
    if not all(known(v.value) for v in model.variables):
        raise ConfigError(
            "the model was built outside of this strategy's scope: build it inside."
        )
    return strategy.extended.should_checkpoint


class Alone:
    """One replica, which takes every row of a batch."""

    size = 1

    def placed(self, model: _layers.Model) -> AbstractContextManager[Any]:
        """Return the scope in which a step runs."""
        return _placed(model)

    def share(self, batch: Batch, tensor: Callable[[np.ndarray], Any]) -> Any:
        """Return (inputs, targets) of one part of a batch for every replica."""
        return tuple(map(tensor, batch.inputs)), tensor(batch.targets)

    def first_row(self, size: int) -> Any:
        """Return the index of this replica's first row in a batch of this size."""
        return 0

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function on every replica; return its (loss, finite, gradients)."""
        return function(*args)

    def sum(self, tensors: list[Any]) -> list[Any]:
        """Return the sums over all replicas, when called in such a function."""
        return tensors

    def lead(self, values: Sequence[float]) -> list[float]:
        """Return the values of the first process, in every process."""
        return list(values)


class Replicas(Alone):
    """The replicas of the strategy in whose scope the object is made."""

    def __init__(self) -> None:
        self.strategy = tf.distribute.get_strategy()
        self.size = self.strategy.num_replicas_in_sync
        self._lead = tf.function(self._of_first, autograph=False)

    def placed(self, model: _layers.Model) -> AbstractContextManager[Any]:
        return nullcontext()

    def share(self, batch: Batch, tensor: Callable[[np.ndarray], Any]) -> Any:
        def spread(pick: Callable[[Batch], np.ndarray]) -> Any:
            return self.strategy.experimental_distribute_values_from_function(
                lambda context: tensor(
                    pick(share(batch, context.replica_id_in_sync_group, self.size)[0])
                )
            )

        numbers = range(len(batch.inputs))
        inputs = tuple(spread(lambda b, i=i: b.inputs[i]) for i in numbers)
        return inputs, spread(lambda b: b.targets)

    def first_row(self, size: int) -> Any:
        each, more = divmod(size, self.size)  # as np.array_split shares
        number = tf.convert_to_tensor(_context().replica_id_in_sync_group)
        return each * number + tf.minimum(number, more)

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        with mock.patch.object(_layers.BatchNorm, "statistics", _statistics):
            loss, finite, grads = self.strategy.run(function, args)
        local = self.strategy.experimental_local_results
        return local(loss)[0], local(finite)[0], grads

    def sum(self, tensors: list[Any]) -> list[Any]:
        return _context().all_reduce("SUM", tensors)

    def lead(self, values: Sequence[float]) -> list[float]:
        if isinstance(self.strategy, tf.distribute.MirroredStrategy):
            return list(values)  # one process
        return self._lead(tf.constant(values, tf.float64)).numpy().tolist()

    def _of_first(self, values: Any) -> Any:
        def replica(values: Any) -> Any:
            first = tf.equal(_context().replica_id_in_sync_group, 0)
            return self.sum([tf.where(first, values, 0)])[0]

        sums = self.strategy.run(replica, (values,))
        return self.strategy.experimental_local_results(sums)[0]


def _context() -> Any:
    return tf.distribute.get_replica_context()


def _statistics(norm: keras.Layer, x: Any) -> tuple[Any, Any, Any]:
    """Compute `BatchNorm.statistics` over all replicas' rows."""
    own = ops.cast(ops.size(x), x.dtype) / x.shape[-1]
    total, n = _context().all_reduce("SUM", [_layers.average(x) * own, own])
    mean = total / n
    spread = _layers.average(ops.square(x - ops.stop_gradient(mean)))
    return mean, _context().all_reduce("SUM", spread * own) / n, n
