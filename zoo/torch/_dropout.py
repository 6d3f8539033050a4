"""Dropout that is a function of a key: the zoo's masks, or PyTorch's own draws."""

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
    """Let the model's active dropouts use the masks of `zoo.spec.masks` meanwhile.

    Args:
        model: in training mode; a dropout in eval mode still does nothing.
        key: of the step, see `zoo.spec.masks.step_key`.
        first_row: place of the inputs' first row in the whole batch.
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
            if before is not None:  # this stood inside another `counted`
                vars(m)["drop"] = before


def _become(module: nn.Module, kind: type[Any]) -> None:
    module.__class__ = kind


class _Counted(nn.Dropout):
    """A dropout as a type of its own: see `attend`."""

    drop: _Drop

    def forward(self, input: Tensor) -> Tensor:
        return self.drop(input, self.p, self.training)


class _Drop:
    """Takes the place of F.dropout for one layer; counts its calls."""

    def __init__(self, name: str, key: Any, first_row: Any) -> None:
        self.salt, self.calls, self.numbers = salt(name), 0, (key, first_row)
        # A compiled model takes other tensors without being compiled again.
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
    """Return `masks.keep` for x: (N, C, H, W) is an image, all else counts in order.

    In int32, whose products wrap as they should, in place: half the memory of int64.
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
        shifted &= (1 << (32 - shift)) - 1  # the sign must not follow
        bits ^= shifted
        bits *= _signed(multiplier)
    bits ^= -(2**31)  # so that signed numbers are in the order of unsigned ones
    return (bits >= threshold(rate) - 2**31).view(x.shape)


def _signed(word: Any) -> Any:
    """Return the number that has the same 32 bits as int32."""
    return (word ^ 2**31) - 2**31


@contextmanager
def seeded(
    model: nn.Module, key: int | Tensor, first_row: int | Tensor = 0
) -> Iterator[None]:
    """Let PyTorch's own dropouts draw as `key` says; arguments as for `counted`.

    The generator of the model's device is put back after: others' draws go on as if
    nothing had been.
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
