"""The divergence catalogue, as the ladder uses it: from a symptom to a likely cause.

A cause is named from what the two layers say of themselves where that differs (eps,
momentum, groups), from the shape of the error where that tells (a running variance off
by n/(n-1)), and otherwise from what the catalogue (docs/divergences.md) knows of that
kind of layer at that rung.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

# (pattern of the layer's class, rung or "", cause); the first match wins.
_CATALOGUE = (
    (
        "^before .*(linear|dense)",
        "",
        "flatten order (C, H, W in PyTorch), pooling or activation before this layer",
    ),
    (
        "^before .*conv",
        "",
        "pooling (padded with -inf, alike on both sides), padding or activation"
        " before this layer",
    ),
    ("^before", "", "what stands before this layer in the model's own code"),
    ("batchnorm|batch_norm", "buffers", "BatchNorm momentum or running variance"),
    ("batchnorm|batch_norm", "", "BatchNorm eps, or train and eval mode mixed up"),
    ("layernorm|layernormalization", "", "LayerNorm eps"),
    ("groupnorm", "", "GroupNorm eps or groups"),
    ("rmsnorm", "", "RMSNorm eps"),
    (
        "convtranspose|conv2dtranspose",
        "",
        "transposed convolution: flipped kernel, or its layout (in, out, kh, kw)",
    ),
    ("conv1d", "", "linear layer's kernel layout: (in, out) in GPT-2's file"),
    (
        "conv",
        "",
        "stride, asymmetric padding ('SAME' at stride 2 pads (0, 1), PyTorch (1, 1)),"
        " or the kernel's layout",
    ),
    ("pool", "", "pooling: padding value (-inf) or asymmetric padding"),
    (
        "lstm",
        "",
        "LSTM gate order (i, f, g, o), forget bias, reverse direction, or padding",
    ),
    ("gru", "", "GRU gate order, hidden bias or reset_after"),
    ("rnn", "", "RNN bias, activation, reverse direction, or padding"),
    ("embed", "", "embedding rows or ids"),
    (
        "attention|attn",
        "",
        "attention: scale 1/sqrt(d), mask polarity, causal mask or packing of q, k, v",
    ),
    ("dropout", "", "dropout active in eval mode"),
    ("linear|dense", "", "linear layer's kernel layout, or the flatten order before"),
    ("prelu|relu|gelu|elu|silu", "", "activation: GELU form or negative slope"),
)


def likely_cause(
    rung: str,
    kind: str,
    reference: Mapping[str, float],
    other: Mapping[str, float],
) -> str | None:
    """Return the likely cause, or None where the catalogue knows none.

    Args:
        rung: the rung that failed.
        kind: class name of the submodule that differs.
        reference, other: what the two submodules say of themselves (`facts`).
    """
    for name in sorted(reference.keys() & other.keys()):
        a, b = reference[name], other[name]
        wanted = name != "momentum" or rung == "buffers"
        if wanted and not np.isclose(a, b, rtol=1e-9, atol=0):
            return f"{_nice(kind)} {name}: {a:g} against {b:g}"
    plain = kind.lower()
    for pattern, at, cause in _CATALOGUE:
        if re.search(pattern, plain) and at in ("", rung):
            return cause
    return None


def likely_buffer_cause(
    before: np.ndarray, reference: np.ndarray, other: np.ndarray
) -> str | None:
    """Return the cause of a running statistic that differs after one step.

    `before` is the statistic before the step, the same for both. The moves
    (after - kept part) tell whether momentum or the variance's bias differs.
    """
    move, twin_move = reference - before, other - before
    solid = np.abs(move) > 1e-9 * max(float(np.abs(reference).max()), 1e-30)
    if not solid.any():
        return None
    ratio = twin_move[solid] / move[solid]
    if np.ptp(ratio) <= 1e-6 * np.abs(ratio).max():
        return f"BatchNorm momentum: the step is {ratio.mean():.6g} times as large"
    return None


def _nice(kind: str) -> str:
    for word in ("BatchNorm", "LayerNorm", "GroupNorm", "RMSNorm"):
        if kind.startswith(word):
            return word
    return kind
