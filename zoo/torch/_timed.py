"""What a study times in PyTorch: one forward pass, one matrix product, a profile."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ._run import _native, _outside, compiled, stores_channels_last

_ROUNDS = 3  # calls that a profile sums up


def settle(threads: int) -> dict[str, Any]:
    """Set what must be the same in all rooms; return what is set, for people to read.

    Args:
        threads: of one operator; operators themselves run one after the other.

    Raises ConfigError where PyTorch has run already: its threads are then fixed.
    """
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError:
            raise ConfigError(
                "PyTorch has run operators, so its threads cannot be set any more:"
                " settle must come first in a process."
            ) from None
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    cuda = torch.cuda.is_available()
    return {
        "engine": "torch",
        "threads": torch.get_num_threads(),
        "interop threads": torch.get_num_interop_threads(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "TF32": "on" if torch.backends.cudnn.allow_tf32 else "off",
        "deterministic": _word(torch.are_deterministic_algorithms_enabled()),
        "convolution search": _word(torch.backends.cudnn.benchmark),
        "device": str(torch.get_default_device()),
        "accelerator": torch.cuda.get_device_name() if cuda else "none",
        "oneDNN": _word(torch.backends.mkldnn.is_available()),
        "XLA flags": os.environ.get("XLA_FLAGS", "none"),
    }


def _word(on: bool) -> str:
    return "on" if on else "off"


def arrange(model: nn.Module, channels_last: bool) -> nn.Module:
    """Return the model, its convolutions' weights stored channels last if asked."""
    last: Any = {"memory_format": torch.channels_last}  # for what has four axes
    return model.to(**last) if channels_last else model


def inference(
    model: nn.Module, inputs: Sequence[np.ndarray], compile: bool
) -> Callable[[], Tensor]:
    """Return a call that runs one forward pass, and returns when the work is done.

    Args:
        model: left in eval mode, in which it must be at every call: a Trainer that is
            not closed keeps it in training mode.
        inputs: NumPy, channels last; converted here, once.
        compile: run the model through torch.compile, for these very shapes.
    """
    model.eval()
    last = stores_channels_last(model)
    xs = [_native(x, model, last) for x in inputs]
    run: Any = compiled(model, strict=True) if compile else model
    device = xs[0].device

    def call() -> Tensor:
        if model.training:
            raise ConfigError(
                "the model is in training mode: close its trainer before inference."
            )
        with torch.inference_mode():
            outputs = run(*xs)
        return _done(outputs, device)

    return call


def _done(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return tensor


def outside(output: Tensor) -> np.ndarray:
    """Return what such a call gave as NumPy, channels last."""
    return _outside(output)


def matmul(size: int, device: str | None = None) -> Callable[[], Tensor]:
    """Return a call of one float32 product of two (size, size) matrices."""
    place = torch.device((device or "cpu").replace("gpu", "cuda"))
    a, b = torch.rand(2, size, size, device=place)

    def call() -> Tensor:
        with torch.inference_mode():
            return _done(a @ b, place)

    return call


def profile(call: Callable[[], Any], folder: Path) -> list[tuple[str, float, int]]:
    """Run a call under torch.profiler; leave `trace.json` (Chrome's) in `folder`.

    Returns (operator, seconds in all without what it calls, calls), the largest first.
    On an accelerator the seconds are its own.
    """
    side, activities = "cpu", [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        side = "device"
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    call()
    with torch.profiler.profile(activities=activities, acc_events=True) as found:
        for _ in range(_ROUNDS):
            call()
    folder.mkdir(parents=True, exist_ok=True)
    found.export_chrome_trace(str(folder / "trace.json"))
    rows = [
        (_short(e.key), getattr(e, f"self_{side}_time_total") / 1e6, e.count)
        for e in found.key_averages()
    ]
    rows = [row for row in rows if row[1] > 0]
    return sorted(rows, key=lambda row: -row[1])


def _short(operator: str) -> str:
    """Return an operator's name; what torch.compile melted together has a hash."""
    melted = operator.startswith("## Call CompiledFxGraph")
    return "compiled graph" if melted else operator
