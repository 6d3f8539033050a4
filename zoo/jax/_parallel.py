"""One model on several devices: arrays sharded over a mesh, the same jitted step.

Each device takes its own rows of every batch, and has all other arrays. XLA adds the
communication, so a mean over the batch, batch norm's too, is over all devices' rows.
With `jax.distributed`, the devices of several processes form one mesh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def join(model: nnx.Module) -> bool:
    """Return whether this process is the first of `jax.distributed`."""
    return jax.process_index() == 0


class Alone:
    """One device, which takes every row of a batch."""

    def jit(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """Return a compiled step, whose first argument is donated."""
        return jax.jit(step, donate_argnums=0)

    def spread(self, array: np.ndarray) -> Any:
        """Return inputs or targets of one part of a batch, sharded over the devices."""
        return array

    def everywhere(self, carry: Any) -> Any:
        """Return arrays that every device has a full copy of."""
        return carry

    def local(self, array: Array) -> Array:
        """Return this process's copy of such an array."""
        return array

    def lead(self, values: Sequence[float]) -> list[float]:
        """Return the values of the first process, in every process."""
        return list(values)


class Devices(Alone):
    """All devices of all processes, of the same kind as the model's."""

    def __init__(self, model: nnx.Module) -> None:
        leaf = jax.tree.leaves(nnx.state(model, nnx.Param))[0]
        [device, *_] = jax.numpy.asarray(leaf).devices()
        devices = jax.devices(device.platform)
        mesh = Mesh(np.array(devices), ("data",))
        self.count = len(devices)
        self.rows = NamedSharding(mesh, PartitionSpec("data"))
        self.all = NamedSharding(mesh, PartitionSpec())

    def jit(self, step: Callable[..., Any]) -> Callable[..., Any]:
        return jax.jit(step, donate_argnums=0, out_shardings=self.all)

    def spread(self, array: np.ndarray) -> Array:
        # Where the devices do not divide the rows, each takes all: the same numbers.
        sharding = self.all if len(array) % self.count else self.rows
        return jax.make_array_from_callback(array.shape, sharding, lambda i: array[i])

    def everywhere(self, carry: Any) -> Any:
        return jax.device_put(carry, self.all)

    def local(self, array: Array) -> Array:
        return array.addressable_data(0)

    def lead(self, values: Sequence[float]) -> list[float]:
        # As bytes, because JAX would round float64 outside of its 64-bit mode.
        own = np.array(values, np.float64).view(np.uint8)
        first = multihost_utils.broadcast_one_to_all(own)
        return np.asarray(first).view(np.float64).tolist()
