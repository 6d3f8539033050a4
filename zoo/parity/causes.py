"""From a symptom to its likely cause, by the divergence catalogue.

If the settings of two layers differ (eps, momentum, groups), they are the cause. If the
error has a known form, such as a running statistic whose steps are all too large by one
factor, that form names the cause. Otherwise it is looked up in the catalogue
(docs/divergences.md), by the kind of layer and the rung.
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
    """Return the likely cause, or None if the catalogue has none.

    Args:
        rung: the rung that failed.
        kind: class name of the submodule that differs.
        reference, other: settings of the two submodules, from `facts`.
    """
    for name in sorted(reference.keys() & other.keys()):
        a, b = reference[name], other[name]
        matters = name != "momentum" or rung == "buffers"
        if matters and not np.isclose(a, b, rtol=1e-9, atol=0):
            return f"{_short_name(kind)} {name}: {a:g} against {b:g}"
    for pattern, only_rung, cause in _CATALOGUE:
        if re.search(pattern, kind.lower()) and only_rung in ("", rung):
            return cause
    return None


def likely_buffer_cause(
    before: np.ndarray, reference: np.ndarray, other: np.ndarray
) -> str | None:
    """Return the cause of a running statistic that differs after one step.

    A different momentum makes all steps of the statistic too large by one factor.

    Args:
        before: the statistic before the step, the same for both.
        reference, other: the statistic after the step.
    """
    step, other_step = reference - before, other - before
    above_rounding = np.abs(step) > 1e-9 * max(float(np.abs(reference).max()), 1e-30)
    if not above_rounding.any():
        return None
    ratio = other_step[above_rounding] / step[above_rounding]
    if np.ptp(ratio) <= 1e-6 * np.abs(ratio).max():
        return f"BatchNorm momentum: the step is {ratio.mean():.6g} times as large"
    return None


def _short_name(kind: str) -> str:
    """Return a norm's class name without its dimensions, any other name as it is."""
    for word in ("BatchNorm", "LayerNorm", "GroupNorm", "RMSNorm"):
        if kind.startswith(word):
            return word
    return kind
