"""The optimizers of a recipe: PyTorch's own, with every constant written out.

The other backends follow PyTorch's formulas. Lion is ours, as PyTorch has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RMSprop

from ..spec.recipe import Recipe


def optimizer(weights: dict[str, Tensor], recipe: Recipe) -> Optimizer:
    """Return the recipe's optimizer; a group for each (rate factor, weight decay).

    The step sets `lr` of every group to its `factor` times the curve's value.
    """
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, weight in weights.items():
        decay = recipe.weight_decay if recipe.decays(tuple(weight.shape)) else 0.0
        key = recipe.lr_factor(name), decay
        new = {"params": [], "factor": key[0], "weight_decay": decay}
        groups.setdefault(key, new)["params"].append(weight)
    return _OPTIMIZERS[recipe.optimizer](list(groups.values()), recipe.constants)


def _betas(c: dict[str, float]) -> tuple[float, float]:
    return c["beta1"], c["beta2"]


def _sgd(groups: list[Any], momentum: float = 0.0, nesterov: bool = False) -> SGD:
    return SGD(
        groups, lr=0.0, momentum=momentum, dampening=0.0, nesterov=nesterov, fused=True
    )


_OPTIMIZERS: dict[str, Callable[[list[Any], dict[str, float]], Optimizer]] = {
    "sgd": lambda groups, c: _sgd(groups),
    "momentum": lambda groups, c: _sgd(groups, c["momentum"]),
    "nesterov": lambda groups, c: _sgd(groups, c["momentum"], nesterov=True),
    "adam": lambda groups, c: Adam(
        groups, lr=0.0, betas=_betas(c), eps=c["eps"], fused=True
    ),
    "adamw": lambda groups, c: AdamW(
        groups, lr=0.0, betas=_betas(c), eps=c["eps"], fused=True
    ),
    "rmsprop": lambda groups, c: RMSprop(
        groups, lr=0.0, alpha=c["rho"], eps=c["eps"], momentum=c["momentum"]
    ),
    "adagrad": lambda groups, c: Adagrad(
        groups,
        lr=0.0,
        lr_decay=0.0,
        initial_accumulator_value=0.0,
        eps=c["eps"],
        fused=True,
    ),
    "nadam": lambda groups, c: _nadam(groups, c),
    "lion": lambda groups, c: Lion(groups, lr=0.0, betas=_betas(c)),
}


def _nadam(groups: list[Any], c: dict[str, float]) -> NAdam:
    optimizer = NAdam(
        groups,
        lr=0.0,
        betas=_betas(c),
        eps=c["eps"],
        momentum_decay=c["momentum_decay"],
        decoupled_weight_decay=False,
    )
    for p in (p for group in optimizer.param_groups for p in group["params"]):
        optimizer.state[p] = {
            "step": torch.zeros((), dtype=torch.float32),
            # PyTorch would start with float32, also for float64 weights.
            "mu_product": torch.ones((), dtype=p.dtype),
            "exp_avg": torch.zeros_like(p),
            "exp_avg_sq": torch.zeros_like(p),
        }
    return optimizer


class Lion(Optimizer):
    """Chen et al. 2023 (arXiv:2302.06675), algorithm 2, with decoupled decay."""

    def __init__(
        self,
        params: Any,
        lr: float,
        betas: tuple[float, float],
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyrefly: ignore[bad-override]
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                m = state.setdefault("exp_avg", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(m.lerp(p.grad, 1 - beta1).sign_(), alpha=-group["lr"])
                m.lerp_(p.grad, 1 - beta2)
