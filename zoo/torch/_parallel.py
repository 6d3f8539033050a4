"""One model on several processes: DistributedDataParallel, and batch norm over all.

Each process takes its rows of every batch. torchrun starts them.
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

    A process group that exists is used as it is; else one is made, with gloo for a
    model on the CPU and NCCL for one on a GPU.

    Raises ConfigError where nothing says who the others are.
    """
    if not dist.is_initialized():
        if not all(name in os.environ for name in _TORCHRUN):
            raise ConfigError(
                "parallel training in PyTorch needs torchrun: start this script by"
                " torchrun --nproc-per-node 2 SCRIPT."
            )
        # Imported later, its functions would hold the group as a default argument.
        import_module("torch.distributed.nn.functional")
        device = next(model.parameters()).device
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return dist.get_rank() == 0


def _leave() -> None:
    """End the group's threads, unless the user has.

    One may still be letting go of a tensor, which after Python's end aborts the
    process. They live as long as anything holds the group.
    """
    if dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()


class Alone:
    """One process, which has every batch as a whole."""

    size = 1

    def __init__(self, model: nn.Module, compile: bool) -> None:
        self.model = model
        self.call: Any = compiled(model) if compile else model

    def share(self, batch: Batch) -> tuple[Batch, int]:
        """Return this process's rows of a batch, and the place of the first."""
        return batch, 0

    @contextmanager
    def part(self, whole: int, mine: int, last: bool) -> Iterator[None]:
        """Stay open while `mine` rows of a part of `whole` run forward and backward.

        `last` is the last part before an update.
        """
        yield

    def sum(self, number: Tensor) -> Tensor:
        """Return the sum over all processes."""
        return number

    def lead(self, values: Sequence[float]) -> list[float]:
        """Return what the first process gave."""
        return list(values)

    def close(self) -> None:
        """Let go of what only training needs."""


class Workers(Alone):
    """Several processes. The gradients of their losses are added up."""

    def __init__(self, model: nn.Module, compile: bool) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.model, self._device = model, next(model.parameters()).device
        # No buffers are sent: batch norms have seen the same numbers everywhere.
        wrapped = DistributedDataParallel(model, forward_sync_buffers=False)
        self.call = compiled(wrapped) if compile else wrapped
        self._wrapped: Any = wrapped
        norms = (m for m in model.modules() if isinstance(m, _NORMS) and m.training)
        normalise = self._normalise
        if compile:  # the decorator would import torch._dynamo, two seconds' work
            normalise = torch.compiler.disable(normalise)
        # The very same functions at each step, or torch.compile would begin again.
        self._norms = [(m, partial(normalise, m)) for m in norms]
        self._rows = (1, 1)  # of a part of a batch, and of these this process's

    def share(self, batch: Batch) -> tuple[Batch, int]:
        return share(batch, self.rank, self.size)

    @contextmanager
    def part(self, whole: int, mine: int, last: bool) -> Iterator[None]:
        self._rows = whole, mine
        for m, forward in self._norms:
            vars(m)["forward"] = forward
        try:
            # Gradients of an update's earlier parts wait for those of the last.
            with nullcontext() if last else self._wrapped.no_sync():
                yield
        finally:
            for m, _ in self._norms:
                del vars(m)["forward"]

    def sum(self, number: Tensor) -> Tensor:
        number = number.to(self._device)  # NCCL knows no other
        dist.all_reduce(number)
        return number

    def lead(self, values: Sequence[float]) -> list[float]:
        told = torch.tensor(values, dtype=torch.float64, device=self._device)
        dist.broadcast(told, 0)
        return told.tolist()

    def close(self) -> None:
        self.call = self._wrapped = None

    def _normalise(self, m: Any, x: Tensor) -> Tensor:
        """Batch norm by the statistics of all processes' rows, in two passes.

        nn.SyncBatchNorm does it on GPUs alone.
        """
        axes = (0, *range(2, x.ndim))
        wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
        whole, mine = self._rows
        count = x.numel() // x.shape[1] * whole // mine
        mean = _Sum.apply(wide.sum(axes, keepdim=True)) / count
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
    """The sum over all processes: a gradient comes back from each of them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyrefly: ignore[bad-override]
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyrefly: ignore[bad-override]
        return _Sum.forward(ctx, grad)
