"""One model on several processes: DistributedDataParallel, batch norm over all rows.

torchrun starts the processes. Each takes its own rows of every batch.
"""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.parallel import DistributedDataParallel

from ..errors import ConfigError
from ..spec.batch import Batch, share
from ._run import compiled

_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def join(model: nn.Module) -> bool:
    """Join the processes that torchrun started; return whether this is the first.

    An existing process group is used as it is. Otherwise one is made: NCCL for a model
    on a GPU, gloo on the CPU.

    Raises ConfigError in a process that torchrun did not start.
    """
    if not dist.is_initialized():
        if not all(name in os.environ for name in _TORCHRUN):
            raise ConfigError(
                "parallel training in PyTorch needs torchrun: start this script by"
                " torchrun --nproc-per-node 2 SCRIPT."
            )
        # Imported later, its functions' default arguments would hold the group.
        import_module("torch.distributed.nn.functional")
        device = next(model.parameters()).device
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return dist.get_rank() == 0


def _leave() -> None:
    """End the group's threads, unless the user has done so.

    A thread that frees a tensor after Python has ended aborts the process. The threads
    live as long as anything refers to the group.
    """
    if dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()


class Alone:
    """One process, which takes every row of a batch."""

    size = 1

    def __init__(self, model: nn.Module, compile: bool) -> None:
        self.model = model
        self.call: Any = compiled(model) if compile else model

    def share(self, batch: Batch) -> tuple[Batch, int]:
        """Return this process's rows of a batch, and the index of the first."""
        return batch, 0

    @contextmanager
    def part(self, rows: int, own: int, last: bool) -> Iterator[None]:
        """Surround the forward and backward pass of one part of a batch.

        Args:
            rows: in the part, over all processes.
            own: those of this process.
            last: whether this is the last part before an update.
        """
        yield

    def sum(self, number: Tensor) -> Tensor:
        """Return the sum over all processes."""
        return number

    def lead(self, values: Sequence[float]) -> list[float]:
        """Return the values of the first process, in every process."""
        return list(values)

    def close(self) -> None:
        """Free everything that only training needs."""


class Workers(Alone):
    """Several processes, whose gradients are added up."""

    def __init__(self, model: nn.Module, compile: bool) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.model, self._device = model, next(model.parameters()).device
        # Buffers need no sending: batch norm computes the same in every process.
        wrapped = DistributedDataParallel(model, forward_sync_buffers=False)
        self.call = compiled(wrapped) if compile else wrapped
        self._wrapped: Any = wrapped
        norms = (m for m in model.modules() if isinstance(m, _NORMS) and m.training)
        normalise = self._normalise
        if compile:  # not a decorator, which imports torch._dynamo: two seconds
            normalise = torch.compiler.disable(normalise)
        # The same function objects at every step, or torch.compile would recompile.
        self._norms = [(m, partial(normalise, m)) for m in norms]
        self._rows = (1, 1)  # of a part of a batch: of all processes, of this one

    def share(self, batch: Batch) -> tuple[Batch, int]:
        return share(batch, self.rank, self.size)

    @contextmanager
    def part(self, rows: int, own: int, last: bool) -> Iterator[None]:
        self._rows = rows, own
        for m, forward in self._norms:
            vars(m)["forward"] = forward
        try:
            # Gradients are exchanged once for an update, with its last part.
            with nullcontext() if last else self._wrapped.no_sync():
                yield
        finally:
            for m, _ in self._norms:
                del vars(m)["forward"]

    def sum(self, number: Tensor) -> Tensor:
        number = number.to(self._device)  # NCCL takes GPU tensors only
        dist.all_reduce(number)
        return number

    def lead(self, values: Sequence[float]) -> list[float]:
        tensor = torch.tensor(values, dtype=torch.float64, device=self._device)
        dist.broadcast(tensor, 0)
        return tensor.tolist()

    def close(self) -> None:
        self.call = self._wrapped = None

    def _normalise(self, m: Any, x: Tensor) -> Tensor:
        """Normalise by the statistics of all processes' rows, in two passes.

        nn.SyncBatchNorm does this too, but only on GPUs.
        """
        axes = (0, *range(2, x.ndim))
        wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
        rows, own = self._rows
        count = x.numel() // x.shape[1] * rows // own
        mean = _Sum.apply(wide.sum(axes, keepdim=True)) / count  # (1, C, 1, 1)
        centred = wide - mean
        var = _Sum.apply(centred.square().sum(axes, keepdim=True)) / count
        with torch.no_grad():
            m.num_batches_tracked += 1
            unbiased = var * (count / max(count - 1, 1))
            for running, new in ((m.running_mean, mean), (m.running_var, unbiased)):
                running.lerp_(new.flatten().to(running.dtype), m.momentum)
        scale = torch.rsqrt(var + m.eps) * m.weight.view_as(var)
        return (centred * scale + m.bias.view_as(var)).to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes, and in the backward pass of all gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyrefly: ignore[bad-override]
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyrefly: ignore[bad-override]
        return _Sum.forward(ctx, grad)
