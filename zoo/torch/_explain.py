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

OBJECTIVES = {**LOSSES, "score": lambda z, w: (z * w).sum()}


@torch.enable_grad()
def sensitivities(
    model: nn.Module,
    inputs: Sequence[np.ndarray],
    targets: np.ndarray,
    objective: str,
    training: bool = False,
) -> Sensitivity:
    """Run forward and backward once, without dropout; the model is kept.

    Args:
        model: whose submodules' outputs are wanted.
        inputs: in call order, channels last.
        targets: what the objective compares the outputs with, channels last.
        objective: a loss, or "score": the sum of the outputs times the targets.
        training: by the batch's statistics, not the running ones.
    """
    weights = {n: p for n, p in _tensors(model).items() if p.requires_grad}
    kept = {k: v.clone() for k, v in model.named_buffers()}
    xs = [_native(x, model) for x in inputs]
    reals = [i for i, x in enumerate(xs) if x.is_floating_point()]
    for i in reals:
        xs[i].requires_grad_()
    watched: list[Tensor] = []

    def tap(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        # A view: of two outputs, one made of the other, neither sees the other's use.
        free = tensor.detach().requires_grad_()  # nothing before it learns
        watched.append(tensor.view_as(tensor) if tensor.requires_grad else free)
        return watched[-1]

    names = {id(m): name for name, m in submodules(model).items()}
    recorder = Recorder(names, lambda t: t, _inside, tap=tap)
    wrapped = recorder.around(nn.Module.__call__)
    with _mode(model, training), mock.patch.object(nn.Module, "__call__", wrapped):
        for m in model.modules():
            if isinstance(m, nn.RNNBase):  # cuDNN's goes backward in this mode alone
                m.train()
        outputs = model(*xs)
    value = OBJECTIVES[objective](outputs, _native(targets, model))
    wanted = [*watched, *weights.values(), *(xs[i] for i in reals)]
    grads = iter(torch.autograd.grad(value, wanted, materialize_grads=True))
    _restore(model, kept)
    return Sensitivity(
        taps(recorder.calls, [next(grads) for _ in watched], _outside),
        {name: to_numpy(next(grads)) for name in weights},
        {i: _outside(next(grads)) for i in reals},
    )
