"""The training step in PyTorch: eager, or through torch.compile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..spec.batch import Batch, check_targets
from ..spec.recipe import Recipe
from ._dropout import counted, seeded
from ._optimizers import optimizer
from ._parallel import Alone, Workers
from ._run import LOSSES, _classes_first, _native, stores_channels_last
from ._weights import _tensors, submodules, to_numpy

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def _loss(kind: str, smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    if not smoothing:
        return LOSSES[kind]
    return lambda z, t: F.cross_entropy(_classes_first(z), t, label_smoothing=smoothing)


class Trainer:
    """Trains a model in place, one update at a time.

    `close` restores the mode and the `requires_grad` flags that the model came with.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        loss: str,
        compile: bool = False,
        parallel: bool = False,
    ) -> None:
        self.model, self.recipe = model, recipe
        self._last = stores_channels_last(model)
        self._kind, self._loss = loss, _loss(loss, recipe.label_smoothing)
        self._modes = {m: m.training for m in model.modules()}
        tensors = _tensors(model)
        self._learned = {n: p for n, p in tensors.items() if p.requires_grad}
        self.weights = {n: p for n, p in self._learned.items() if not recipe.frozen(n)}
        for name, p in self._learned.items():
            p.requires_grad_(name in self.weights)
        self.optimizer = optimizer(self.weights, recipe)
        self.average: dict[str, Tensor] | None = None
        self.updates = 0
        model.train()
        for name, m in submodules(model).items():
            if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d):
                m.train(not recipe.frozen(f"{name}.running_mean"))
        self._workers = (Workers if parallel else Alone)(model, compile)
        self.fewest = self._workers.size
        self.lead = self._workers.lead

    def step(
        self,
        batches: Sequence[Batch],
        lr: float,
        keys: Sequence[int],
        scale: float = 1.0,
    ) -> tuple[float, bool]:
        """Update the weights by the gradient of the mean loss over all batches."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        self.optimizer.zero_grad(set_to_none=True)
        count = sum(b.size for b in batches)
        total = torch.zeros((), dtype=torch.float64)
        workers, dtype = self._workers, next(self.model.parameters()).dtype
        for i, (batch, key) in enumerate(zip(batches, keys)):
            own, row = workers.share(batch)
            xs = [_native(x, self.model, self._last) for x in own.inputs]
            last = i == len(batches) - 1
            with workers.part(batch.size, own.size, last):
                with self._dropout(key, row), self._precision(xs[0].device.type):
                    outputs = workers.call(*xs)
                check_targets(self._kind, _channels_last(outputs), own.targets.shape)
                loss = self._loss(outputs.to(dtype), _native(own.targets, self.model))
                loss = loss * (own.size / count)
                # DistributedDataParallel averages the workers' gradients.
                (loss * (scale * workers.size)).backward()
            total += loss.detach().cpu()
        total = workers.sum(total)
        return total.item(), math.isfinite(total.item()) and self._update(scale)

    def _dropout(self, key: int, row: int) -> AbstractContextManager[Any]:
        kind = counted if self.recipe.deterministic_dropout else seeded
        return kind(self.model, key, row)

    def _precision(self, device: str) -> AbstractContextManager[Any]:
        half = _HALF.get(self.recipe.precision)
        return torch.autocast(device, half) if half else nullcontext()

    @torch.no_grad()
    def _update(self, scale: float) -> bool:
        weights = list(self.weights.values())
        for p in weights:
            if p.grad is None:  # the loss does not depend on it
                p.grad = torch.zeros_like(p)
        grads = [p.grad for p in weights if p.grad is not None]
        if self.recipe.precision == "fp16":
            torch._foreach_div_(grads, scale)
            if not all(torch.isfinite(g).all() for g in grads):
                return False
        self._clip(weights, grads)
        self.optimizer.step()
        self.updates += 1
        if self.recipe.ema is not None:
            if self.average is None:
                self.average = {n: p.detach().clone() for n, p in self.weights.items()}
            else:
                averages = list(self.average.values())
                torch._foreach_lerp_(averages, weights, 1 - self.recipe.ema)
        return True

    def _clip(self, weights: list[Tensor], grads: list[Tensor]) -> None:
        if self.recipe.clip_value is not None:
            nn.utils.clip_grad_value_(weights, self.recipe.clip_value)
        if (longest := self.recipe.clip_norm) is not None:
            norm = nn.utils.get_total_norm(grads)
            # PyTorch divides by the norm + 1e-6, so that is subtracted first.
            nn.utils.clip_grads_with_norm_(weights, longest, norm - 1e-6)

    def sync(self) -> None:
        """Do nothing: the model is always up to date."""

    def slots(self) -> dict[str, np.ndarray]:
        """Return the optimizer's state: `exp_avg/conv1.weight`, scalars by name."""
        result = {"step": np.array(float(self.updates))}
        for name, p in self.weights.items():
            for slot, value in self.optimizer.state[p].items():
                if slot == "mu_product":
                    result[slot] = to_numpy(value).astype(np.float64)
                elif slot != "step" and isinstance(value, Tensor):
                    result[f"{slot}/{name}"] = to_numpy(value).copy()
        for name, value in (self.average or {}).items():
            result[f"ema/{name}"] = to_numpy(value).copy()
        return result

    @torch.no_grad()
    def restore(self, slots: Mapping[str, np.ndarray]) -> None:
        """Continue from the model's weights and from the `slots` of any backend."""
        self.optimizer = optimizer(self.weights, self.recipe)
        self.updates = int(slots.get("step", 0))
        fused = self.optimizer.defaults.get("fused", False)
        for name, p in self.weights.items():
            state: dict[str, Any] = {}
            for key, array in slots.items():
                slot, _, weight = key.partition("/")
                if (weight == name and slot != "ema") or key == "mu_product":
                    state[slot] = _tensor(array, p)
            if state:
                device = p.device if fused else None
                state["step"] = torch.tensor(float(self.updates), device=device)
                self.optimizer.state[p] = state
        self.average = None
        if self.recipe.ema is not None and any(k.startswith("ema/") for k in slots):
            self.average = {
                n: _tensor(slots[f"ema/{n}"], p) for n, p in self.weights.items()
            }

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the model the averaged weights while the block runs."""
        if self.average is None:
            yield
            return
        saved = {n: p.detach().clone() for n, p in self.weights.items()}
        self._put(self.average)
        try:
            yield
        finally:
            self._put(saved)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, p in self.weights.items():
            p.copy_(values[name])

    def close(self) -> None:
        """Restore the model's own mode and `requires_grad` flags."""
        for m, training in self._modes.items():
            m.training = training
        for p in self._learned.values():
            p.requires_grad_(True)
        self.optimizer.zero_grad(set_to_none=True)
        self._workers.close()


def _tensor(array: np.ndarray, like: Tensor) -> Tensor:
    # Fused optimizers ignore strides, so a slot must be stored as its weight is:
    # channels last or not. torch.tensor would keep NumPy's strides.
    tensor = torch.from_numpy(np.array(array, order="C"))
    if tensor.shape != like.shape:
        return tensor.to(like.device, like.dtype)
    return torch.empty_like(like).copy_(tensor)


def _channels_last(outputs: Tensor) -> tuple[int, ...]:
    """Return the public shape of outputs; (N, T, C) is public as it stands."""
    if outputs.ndim == 3:
        return tuple(outputs.shape)
    return (len(outputs), *outputs.shape[2:], outputs.shape[1])
