"""Dropout masks as functions of a key: the zoo's masks, or TensorFlow's own draws.

Neither uses Keras's seed variables, so no step depends on the one before. Needs Keras's
TensorFlow engine, as training does.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from ..spec.masks import LAST, ROUNDS, salt, threshold
from ._weights import submodules


@contextmanager
def counted(model: keras.Layer, key: Any, first_row: Any = 0) -> Iterator[None]:
    """Inside the block, make the model's dropouts use the masks of `zoo.spec.masks`.

    Args:
        model: to call with `training=True`; otherwise its dropouts do nothing.
        key: of the step, see `zoo.spec.masks.step_key`. An integer, or a uint32 or
            int64 scalar, for which a tf.function is not traced again.
        first_row: index of the inputs' first row in the full batch, of the same types.
    """

    def drop(x: Any, rate: float, own: Any) -> Any:
        return tf.where(_keep(x, own, _word(first_row), rate), x / (1 - rate), 0)

    with _dropping(model, key, drop):
        yield


@contextmanager
def seeded(model: keras.Layer, key: Any, first_row: Any = 0) -> Iterator[None]:
    """Inside the block, make TensorFlow's own dropouts draw masks that depend on `key`.

    Arguments as for `counted`.
    """

    def drop(x: Any, rate: float, own: Any) -> Any:
        # Workers that hold different rows must not draw the same masks.
        seed = tf.bitcast(tf.stack((own, _word(first_row))), tf.int32)
        # Philox: XLA's default on a CPU is forty times as slow.
        return tf.nn.experimental.stateless_dropout(x, rate, seed, rng_alg="philox")

    with _dropping(model, key, drop):
        yield


_own_call = layers.Dropout.call
_rule: ContextVar[Callable[..., Any] | None] = ContextVar("rule", default=None)
_lock = threading.Lock()
_users = 0


@contextmanager
def _dropping(model: keras.Layer, key: Any, drop: Callable[..., Any]) -> Iterator[None]:
    """Replace Keras's dropout by `drop(x, rate, own key)` inside the block.

    MirroredStrategy runs one thread per replica and switches between them in the middle
    of a pass. So each thread has its own rule and count, and the last one restores
    Keras.
    """
    global _users
    names = {id(m): name for name, m in submodules(model).items()}
    calls: Counter[int] = Counter()

    def rule(layer: layers.Dropout, x: Any) -> Any:
        me = id(layer)
        if me not in names:
            return _own_call(layer, x, training=True)
        own = _scramble(_word(key) ^ _word(salt(names[me]) ^ calls[me]))
        calls[me] += 1
        return drop(x, layer.rate, own)

    with _lock:
        _users += 1
        layers.Dropout.call = _call
    token = _rule.set(rule)
    try:
        yield
    finally:
        _rule.reset(token)
        with _lock:
            _users -= 1
            if not _users:
                layers.Dropout.call = _own_call


def _call(self: layers.Dropout, inputs: Any, training: bool = False) -> Any:
    rule = _rule.get()
    if rule is None or not training or not self.rate:
        return _own_call(self, inputs, training=training)
    return rule(self, inputs)


def _keep(x: Any, own: Any, first_row: Any, rate: float) -> Any:
    """Return `masks.keep` for x; uint32 products wrap."""
    shape = tf.shape(x)
    size = tf.reduce_prod(shape[1:])
    # Ranges are computed on the host: two short ones, not one of all elements.
    rows, places = (tf.cast(tf.range(n), tf.uint32) for n in (shape[0], size))
    rows = (rows + first_row) * tf.cast(size, tf.uint32) + own
    bits = rows[:, None] + places
    for i, (shift, multiplier) in enumerate(ROUNDS):
        if i == 1:
            bits ^= _scramble(own)
        bits = (bits ^ tf.bitwise.right_shift(bits, shift)) * multiplier
    return tf.reshape(bits >= threshold(rate), shape)


def _scramble(x: Any) -> Any:
    """Return `masks.scramble` of a uint32 scalar."""
    for shift, multiplier in ROUNDS:
        x = (x ^ tf.bitwise.right_shift(x, shift)) * multiplier
    return x ^ tf.bitwise.right_shift(x, LAST)


def _word(number: Any) -> Any:
    make = tf.cast if tf.is_tensor(number) else tf.constant  # no int32 on the way
    return make(number, tf.uint32)
