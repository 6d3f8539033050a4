"""What a study measures in PyTorch: a forward pass, a matrix product, a profile."""

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

_ROUNDS = 3  # calls that a profile adds up


def settle(threads: int) -> dict[str, Any]:
    """Set threads and precision; return the settings.

    `threads` is for one operator. Operators run one after the other.
    """
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError:
            raise ConfigError(
                "PyTorch has already run operators, so its threads can no longer be"
                " set: settle must come first in a process."
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
    """Return the model, its convolutions stored channels last if asked."""
    last: Any = {"memory_format": torch.channels_last}  # of tensors with four axes
    return model.to(**last) if channels_last else model


def inference(
    model: nn.Module, inputs: Sequence[np.ndarray], compile: bool
) -> Callable[[], Tensor]:
    """Return a call that runs one forward pass and waits until it is done.

    The model is put into eval mode. The call raises ConfigError in training mode, in
    which a Trainer keeps the model until it is closed.
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
    """Return what such a call returned as NumPy, channels last."""
    return _outside(output)


def matmul(size: int, device: str | None = None) -> Callable[[], Tensor]:
    """Return a call of one float32 product of two (size, size) matrices."""
    target = torch.device((device or "cpu").replace("gpu", "cuda"))
    a, b = torch.rand(2, size, size, device=target)

    def call() -> Tensor:
        with torch.inference_mode():
            return _done(a @ b, target)

    return call


def profile(call: Callable[[], Any], folder: Path) -> list[tuple[str, float, int]]:
    """Run a call under torch.profiler; write `trace.json` for Chrome into `folder`.

    An operator's seconds exclude the operators that it calls. With CUDA they are the
    GPU's.
    """
    side, activities = "cpu", [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        side = "device"
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    call()
    with torch.profiler.profile(activities=activities, acc_events=True) as profiler:
        for _ in range(_ROUNDS):
            call()
    folder.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(folder / "trace.json"))
    total = f"self_{side}_time_total"
    rows = [
        (_short(event.key), getattr(event, total) / 1e6, event.count)
        for event in profiler.key_averages()
    ]
    rows = [row for row in rows if row[1] > 0]
    return sorted(rows, key=lambda row: -row[1])


def _short(operator: str) -> str:
    """Return an operator's name, without the hash of a graph that was compiled."""
    compiled = operator.startswith("## Call CompiledFxGraph")
    return "compiled graph" if compiled else operator
