"""Every submodule's output with the gradient that reaches it, in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from ..spec.tracing import Recorder, Sensitivity, taps
from ._run import LOSSES, _inside, _mode, _native, _outside, _restore
from ._weights import _tensors, submodules, to_numpy

# Outputs and targets -> a scalar.
OBJECTIVES = {**LOSSES, "score": lambda z, w: (z * w).sum()}


@torch.enable_grad()
def sensitivities(
    model: nn.Module,
    inputs: Sequence[np.ndarray],
    targets: np.ndarray,
    objective: str,
    training: bool = False,
) -> Sensitivity:
    """Run forward and backward once; return every output with its gradient."""
    weights = {n: p for n, p in _tensors(model).items() if p.requires_grad}
    saved = {k: v.clone() for k, v in model.named_buffers()}
    xs = [_native(x, model) for x in inputs]  # (N, H, W, C) -> (N, C, H, W)
    reals = [i for i, x in enumerate(xs) if x.is_floating_point()]
    for i in reals:
        xs[i].requires_grad_()
    watched: list[Tensor] = []

    def tap(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        # A view: where one output is made from another, each has its own gradient.
        leaf = tensor.detach().requires_grad_()  # where nothing before it learns
        watched.append(tensor.view_as(tensor) if tensor.requires_grad else leaf)
        return watched[-1]

    names = {id(m): name for name, m in submodules(model).items()}
    recorder = Recorder(names, lambda t: t, _inside, tap=tap)
    wrapped = recorder.around(nn.Module.__call__)
    with _mode(model, training), mock.patch.object(nn.Module, "__call__", wrapped):
        for m in model.modules():
            if isinstance(
                m, nn.RNNBase
            ):  # cuDNN's has a backward pass in this mode only
                m.train()
        outputs = model(*xs)
    value = OBJECTIVES[objective](outputs, _native(targets, model))  # ()
    wanted = [*watched, *weights.values(), *(xs[i] for i in reals)]
    grads = iter(torch.autograd.grad(value, wanted, materialize_grads=True))
    _restore(model, saved)
    return Sensitivity(  # (N, C, H, W) -> (N, H, W, C)
        taps(recorder.calls, [next(grads) for _ in watched], _outside),
        {name: to_numpy(next(grads)) for name in weights},
        {i: _outside(next(grads)) for i in reals},
    )
