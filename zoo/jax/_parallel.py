"""One model on several devices: arrays over a mesh, the same jitted step.

The rows of every batch are spread over the devices, all else is on each of them. XLA
adds what the devices must exchange: a mean over the batch is one over all of it, batch
norm's too. With `jax.distributed`, the devices of several processes are one mesh.
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
    """Return whether this process is the first of those of `jax.distributed`."""
    return jax.process_index() == 0


class Alone:
    """One device, which has every batch as a whole."""

    def jit(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """Return a step, compiled; its first argument is donated."""
        return jax.jit(step, donate_argnums=0)

    def spread(self, array: np.ndarray) -> Any:
        """Return inputs or targets of a (part of a) batch, over the devices."""
        return array

    def everywhere(self, carry: Any) -> Any:
        """Return arrays so that every device has all of them."""
        return carry

    def here(self, array: Array) -> Array:
        """Return one of these as an array of this process."""
        return array

    def lead(self, values: Sequence[float]) -> list[float]:
        """Return what the first process gave."""
        return list(values)


class Devices(Alone):
    """All devices, of all processes, of the kind that the model is on."""

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
        # Rows that the devices do not divide go to all of them: the same numbers.
        where = self.all if len(array) % self.count else self.rows
        return jax.make_array_from_callback(array.shape, where, lambda i: array[i])

    def everywhere(self, carry: Any) -> Any:
        return jax.device_put(carry, self.all)

    def here(self, array: Array) -> Array:
        return array.addressable_data(0)

    def lead(self, values: Sequence[float]) -> list[float]:
        # As bytes: outside of 64-bit mode JAX would round them.
        own = np.array(values, np.float64).view(np.uint8)
        told = multihost_utils.broadcast_one_to_all(own)
        return np.asarray(told).view(np.float64).tolist()
