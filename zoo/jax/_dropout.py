"""Dropout masks as functions of a key: the zoo's masks, or JAX's own draws.

Neither uses Flax's random streams, so no step depends on the one before. Enter either
inside the traced function, with the model that it runs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from ..spec.masks import LAST, ROUNDS, salt, threshold
from . import _layers
from ._weights import submodules

_Key = int | Array


@contextmanager
def counted(model: nnx.Module, key: _Key, first_row: _Key = 0) -> Iterator[None]:
    """Inside the block, make the model's dropouts use the masks of `zoo.spec.masks`.

    Args:
        model: in training mode; a dropout in eval mode still does nothing.
        key: of the step, see `zoo.spec.masks.step_key`. An integer or a uint32, which
            may be traced.
        first_row: index of the inputs' first row in the full batch, of the same types.
    """
    stacks = submodules(model).values()
    time_major = {
        id(m.dropout) for m in stacks if isinstance(m, _layers._Recurrent)
    }  # (T, N, C)

    def drop(layer: nnx.Dropout, x: Array, own: Array) -> Array:
        swapped = id(layer) in time_major
        shape = (x.shape[1], x.shape[0], *x.shape[2:]) if swapped else x.shape
        keep = _keep(shape, own, _word(first_row), layer.rate)
        keep = keep.swapaxes(0, 1) if swapped else keep
        return jnp.where(keep, x / (1 - layer.rate), 0)

    with _dropping(model, key, drop):
        yield


@contextmanager
def seeded(model: nnx.Module, key: _Key, first_row: _Key = 0) -> Iterator[None]:
    """Inside the block, make the dropouts draw JAX's own masks that depend on `key`.

    Arguments as for `counted`.
    """

    def drop(layer: nnx.Dropout, x: Array, own: Array) -> Array:
        # Workers that hold different rows must not draw the same masks.
        stream = jax.random.fold_in(jax.random.key(own), _word(first_row))
        # The rate's dtype decides how many bits are drawn. Always float32, so that the
        # masks do not depend on whether this process runs JAX in 64 bits.
        kept = np.float32(1 - layer.rate)
        keep = jax.random.bernoulli(stream, kept, x.shape)
        return jnp.where(keep, x / (1 - layer.rate), 0)

    with _dropping(model, key, drop):
        yield


_own_call = nnx.Dropout.__call__


@contextmanager
def _dropping(
    model: nnx.Module, key: _Key, drop: Callable[..., Array]
) -> Iterator[None]:
    """Replace Flax's dropout by `drop(layer, x, own key)` inside the block."""
    names = {id(m): name for name, m in submodules(model).items()}
    calls: Counter[int] = Counter()

    def call(
        self: nnx.Dropout,
        inputs: Array,
        *,
        deterministic: bool | None = None,
        rngs: Any = None,
    ) -> Array:
        me = id(self)
        off = self.deterministic if deterministic is None else deterministic
        if me not in names or off or not self.rate:
            return _own_call(self, inputs, deterministic=deterministic, rngs=rngs)
        own = _scramble(_word(key) ^ np.uint32(salt(names[me]) ^ calls[me]))
        calls[me] += 1
        return drop(self, inputs, own)

    with mock.patch.object(nnx.Dropout, "__call__", call):
        yield


def _keep(shape: tuple[int, ...], own: Array, first_row: Array, rate: float) -> Array:
    """Return `masks.keep`; uint32 products wrap."""
    size = math.prod(shape[1:])
    rows = jnp.arange(shape[0], dtype=jnp.uint32) + first_row
    rows = rows * np.uint32(size % 2**32) + own
    places = jnp.arange(size, dtype=jnp.uint32).reshape(shape[1:])
    bits = rows.reshape(-1, *(1 for _ in shape[1:])) + places
    for i, (shift, multiplier) in enumerate(ROUNDS):
        if i == 1:
            bits ^= _scramble(own)
        bits = (bits ^ (bits >> shift)) * np.uint32(multiplier)
    return bits >= np.uint32(threshold(rate))


def _scramble(x: Array) -> Array:
    """Return `masks.scramble` of a uint32 scalar."""
    for shift, multiplier in ROUNDS:
        x = (x ^ (x >> shift)) * np.uint32(multiplier)
    return x ^ (x >> LAST)


def _word(number: _Key) -> Array:
    # Not through int32, which is too small for large keys.
    return jnp.asarray(
        np.uint32(number) if isinstance(number, int) else number, jnp.uint32
    )
