"""Build, run, differentiate and trace PyTorch models, from and to NumPy.

On the NumPy side images are channels last.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..configs._base import Config
from ..errors import InputError
from ..spec.tracing import Call, Pass, Recorder
from ._weights import collect, read, submodules, to_numpy

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class _SkipRandom(TorchFunctionMode):
    """Skips random draws in a constructor: the numbers would be overwritten."""

    random = frozenset(
        f for name, f in vars(nn.init).items() if name.endswith(("uniform_", "normal_"))
    ) | {Tensor.uniform_, Tensor.normal_}

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self.random:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def construct(
    cls: type[nn.Module],
    config: Config,
    *,
    dtype: str,
    device: str | None,
    native_seed: int | None,
) -> nn.Module:
    """Return `cls(config)`; its weights are unset unless `native_seed` is given."""
    if native_seed is None:
        with _SkipRandom():
            model = cls(config)
    else:
        torch.manual_seed(native_seed)
        model = cls(config)
    return model.to(_device(device), DTYPES[dtype])


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device((name or "cpu").replace("gpu", "cuda"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device {name!r} is not usable by PyTorch here: {reason}"
        ) from None
    return device


def count(model: nn.Module) -> int:
    """Return PyTorch's own count of scalars: parameters and persistent buffers."""
    tensors = model.state_dict()
    names = (n for n in tensors if not n.endswith("num_batches_tracked"))
    return sum(tensors[n].numel() for n in names)


def dtype_of(model: nn.Module) -> str:
    """Return the name of the parameters' dtype."""
    first = next(model.parameters(), torch.empty(0))
    return str(first.dtype).removeprefix("torch.")


def _native(array: np.ndarray, model: nn.Module, last: bool = False) -> Tensor:
    """Return an input as the model takes it: NCHW, its dtype, its device.

    With `last` an image is stored channels last, as the model's weights are.
    """
    first = next(model.parameters())
    tensor = _from_numpy(array)
    if tensor.ndim == 4:
        stored = torch.channels_last if last else torch.contiguous_format
        tensor = tensor.permute(0, 3, 1, 2).contiguous(memory_format=stored)
    if tensor.is_floating_point():
        return tensor.to(first.device, first.dtype)
    return tensor.to(first.device, None if tensor.dtype == torch.bool else torch.int64)


def stores_channels_last(model: nn.Module) -> bool:
    """Return whether the model's convolutions are stored channels last."""
    last = torch.channels_last
    return any(  # a 1x1 kernel is contiguous both ways
        p.ndim == 4 and not p.is_contiguous() and p.is_contiguous(memory_format=last)
        for p in model.parameters()
    )


def compiled(call: Any, strict: bool = False) -> Any:
    """Return a model under torch.compile, compiled for each shape of its inputs.

    Beyond 64 shapes PyTorch continues uncompiled. With `strict` that is an error in
    this process, so that no uncompiled run is timed as a compiled one.
    """
    import torch._dynamo.config as dynamo

    dynamo.recompile_limit = max(dynamo.recompile_limit, 64)
    dynamo.fail_on_recompile_limit_hit |= strict
    # Inductor cannot compile our LSTM for the CPU (github.com/pytorch/pytorch, issue
    # 158007), so the fused kernel is left out of the graph.
    for lstm in (torch.lstm, torch._VF.lstm):
        torch._dynamo.disallow_in_graph(lstm)
    return torch.compile(call, dynamic=False)


def _from_numpy(array: np.ndarray) -> Tensor:
    # PyTorch warns of read-only memory and refuses negative strides.
    array = np.require(array, requirements=("C", "W"))
    return torch.from_numpy(array)


def _outside(tensor: Tensor) -> np.ndarray:
    """Return a tensor as NumPy; images become channels last.

    A tensor with four axes is an image: (N, C, H, W) -> (N, H, W, C).
    """
    array = to_numpy(tensor)
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def dropouts(model: nn.Module) -> dict[str, float]:
    """Return the rate of every dropout that is not 0, by its canonical path."""
    rates: dict[str, float] = {}
    for name, m in submodules(model).items():
        if isinstance(m, nn.Dropout):
            rates[name] = m.p
        elif isinstance(m, nn.RNNBase):  # between its layers
            rates[f"{name}.dropout"] = m.dropout
    return {name: rate for name, rate in rates.items() if rate}


@contextmanager
def _mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Set train (dropout off) or eval mode; restore every submodule's own after."""
    old = {m: m.training for m in model.modules()}
    rates = {m: m.dropout for m in model.modules() if isinstance(m, nn.RNNBase)}
    model.train(training)
    # Native dropout masks differ between frameworks, so the ladder uses none.
    for m in model.modules():
        if isinstance(m, nn.Dropout):
            m.eval()
        elif isinstance(m, nn.RNNBase):
            m.dropout = 0.0  # not eval mode, in which cuDNN has no backward pass
    try:
        yield
    finally:
        for m, rate in rates.items():
            m.dropout = rate
        for m, training in old.items():
            m.training = training


@contextmanager
def exact(model: nn.Module, dtype: str) -> Iterator[nn.Module]:
    """Yield a copy of the model as it stands, in this dtype, TF32 off."""
    flags: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    old = [f.allow_tf32 for f in flags]
    for f in flags:
        f.allow_tf32 = False
    try:
        yield copy.deepcopy(model).to(DTYPES[dtype])
    finally:
        for f, value in zip(flags, old):
            f.allow_tf32 = value


@torch.no_grad()
def forward(model: nn.Module, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the outputs in eval mode; the model's own mode is restored."""
    old = {m: m.training for m in model.modules()}
    model.eval()
    try:
        return _outside(model(*(_native(x, model) for x in inputs)))
    finally:
        for m, training in old.items():
            m.training = training


def _classes_first(logits: Tensor) -> Tensor:
    """(N, T, C) -> (N, C, T), where cross_entropy looks for classes."""
    return logits.transpose(1, 2) if logits.ndim == 3 else logits


LOSSES = {
    "cross_entropy": lambda z, t: F.cross_entropy(_classes_first(z), t),
    "bce": F.binary_cross_entropy_with_logits,
    "mse": F.mse_loss,
}


def backward(
    model: nn.Module,
    inputs: Sequence[np.ndarray],
    targets: Mapping[str, np.ndarray],
    loss: str,
) -> Pass:
    """Run forward in training mode, without dropout, and backward from `loss`."""
    saved = {k: v.clone() for k, v in model.named_buffers()}
    xs = [_native(x, model) for x in inputs]
    reals = [i for i, x in enumerate(xs) if x.is_floating_point()]
    for i in reals:
        xs[i].requires_grad_()
    model.zero_grad(set_to_none=True)
    with _mode(model, training=True):
        outputs = model(*xs)
        losses = {k: LOSSES[k](outputs, _native(t, model)) for k, t in targets.items()}
        losses[loss].backward()
    gradients = collect(model, _gradient, trainable=True)
    buffers = {k: v.copy() for k, v in read(model).items() if k not in gradients}
    model.zero_grad(set_to_none=True)
    _restore(model, saved)
    return Pass(
        _outside(outputs),
        {k: v.item() for k, v in losses.items()},
        gradients,
        {i: _outside(_gradient_tensor(xs[i])) for i in reals},
        buffers,
    )


@torch.no_grad()
def _restore(model: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])


def _gradient_tensor(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def _gradient(parameter: Tensor) -> np.ndarray:
    return to_numpy(_gradient_tensor(parameter))


def facts(module: nn.Module) -> dict[str, float]:
    """Return a layer's constants as PyTorch names and means them."""
    names = {"eps": "eps", "momentum": "momentum", "num_groups": "groups"}
    constants = {names[k]: v for k, v in vars(module).items() if k in names}
    return {k: float(v) for k, v in constants.items() if v is not None}


@torch.no_grad()
def trace(
    model: nn.Module,
    inputs: Sequence[np.ndarray],
    training: bool = False,
    forced: Mapping[tuple[str, int], Call] | None = None,
) -> list[Call]:
    """Return every submodule's call in order of completion (see `Recorder`)."""
    names = {id(m): name for name, m in submodules(model).items()}
    recorder = Recorder(names, _outside, _inside, forced)
    saved = {k: v.clone() for k, v in model.named_buffers()}
    wrapped = recorder.around(nn.Module.__call__)
    with _mode(model, training), mock.patch.object(nn.Module, "__call__", wrapped):
        model(*(_native(x, model) for x in inputs))
    _restore(model, saved)
    return recorder.calls


def _inside(array: np.ndarray, like: Any) -> Tensor:
    tensor = _from_numpy(array)
    if tensor.ndim == 4:
        tensor = tensor.permute(0, 3, 1, 2).contiguous()
    return tensor.to(like.device, like.dtype)
