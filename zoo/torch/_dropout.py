"""Dropout masks as functions of a key: the zoo's masks, or PyTorch's own draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..spec.masks import ROUNDS, layer_key, salt, scramble, threshold
from ._weights import submodules


@contextmanager
def counted(
    model: nn.Module, key: int | Tensor, first_row: int | Tensor = 0
) -> Iterator[None]:
    """Inside the block, make the model's dropouts use the masks of `zoo.spec.masks`.

    Args:
        model: in training mode; a dropout in eval mode still does nothing.
        key: of the step, see `zoo.spec.masks.step_key`.
        first_row: index of the inputs' first row in the full batch.
    """
    changed: list[tuple[nn.Module, type[Any], object]] = []
    try:
        for name, m in submodules(model).items():
            if isinstance(m, nn.RNNBase) and m.dropout:  # between its layers
                name, kind = f"{name}.dropout".lstrip("."), type(m)
            elif isinstance(m, nn.Dropout) and m.p:
                kind = _Counted
            else:
                continue
            changed.append((m, type(m), vars(m).get("drop")))
            vars(m)["drop"] = _Drop(name, key, first_row)
            _become(m, kind)
        yield
    finally:
        for m, kind, before in reversed(changed):
            _become(m, kind)
            vars(m).pop("drop", None)
            if before is not None:  # nested in another `counted`
                vars(m)["drop"] = before


def _become(module: nn.Module, kind: type[Any]) -> None:
    module.__class__ = kind


class _Counted(nn.Dropout):
    """A dropout of a type of its own, by which `attend` knows it."""

    drop: _Drop

    def forward(self, input: Tensor) -> Tensor:
        return self.drop(input, self.p, self.training)


class _Drop:
    """Replaces F.dropout for one layer, and counts its calls."""

    def __init__(self, name: str, key: Any, first_row: Any) -> None:
        self.salt, self.calls, self.numbers = salt(name), 0, (key, first_row)
        # Tensors, because a compiled model would recompile for each new integer.
        self.tensors = tuple(map(torch.as_tensor, self.numbers))

    def __call__(self, x: Tensor, p: float, training: bool) -> Tensor:
        if not training:
            return x
        compiling = torch.compiler.is_compiling()
        key, first_row = self.tensors if compiling else self.numbers
        key = scramble(key ^ self.salt ^ self.calls)
        self.calls += 1
        return torch.where(_keep(x, key, first_row, p), x / (1 - p), 0.0)


def _keep(x: Tensor, key: Any, first_row: Any, rate: float) -> Tensor:
    """Return `masks.keep` for x; an image (N, C, H, W) is counted channels last.

    int32 in place takes half the memory of int64, and its products wrap as needed.
    """
    size = x.shape[1:].numel()
    rows = torch.arange(len(x), device=x.device) + first_row
    places = torch.arange(size, dtype=torch.int32, device=x.device)
    if x.ndim == 4:
        places = places.view(-1, x.shape[1]).T.reshape(-1)  # (H*W, C) -> (C, H*W)
    bits = (rows * size + key).to(torch.int32)[:, None] + places
    for i, (shift, multiplier) in enumerate(ROUNDS):
        if i == 1:
            bits ^= _signed(scramble(key))
        shifted = bits >> shift
        shifted &= (1 << (32 - shift)) - 1  # a shift without the sign
        bits ^= shifted
        bits *= _signed(multiplier)
    bits ^= -(2**31)  # puts signed numbers into the order of unsigned ones
    return (bits >= threshold(rate) - 2**31).view(x.shape)


def _signed(word: Any) -> Any:
    """Return the int32 that has the same 32 bits."""
    return (word ^ 2**31) - 2**31


@contextmanager
def seeded(
    model: nn.Module, key: int | Tensor, first_row: int | Tensor = 0
) -> Iterator[None]:
    """Inside the block, make PyTorch's own dropouts draw masks that depend on `key`.

    Arguments as for `counted`. The generator's state is restored after, so other draws
    are not changed.
    """
    device = next(model.parameters(), torch.empty(0)).device
    generator = torch.default_generator
    if device.type != "cpu":
        generator = getattr(torch, device.type).default_generators[device.index or 0]
    state = generator.get_state()
    # Workers that hold different rows must not draw the same masks.
    generator.manual_seed(layer_key(int(key), f"row {int(first_row)}"))
    try:
        yield
    finally:
        generator.set_state(state)
