"""Why a loss does not fall: findings from the figures of a model's layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

DEAD, SATURATED = 0.05, 0.5  # shares of units, and of a gate's values, to report
FALL, RISE = 1e-3, 1e3  # of gradients and activations, from one layer to another


class LayerFigures(NamedTuple):
    """A layer's figures. Norms are Euclidean, over all values of a tensor.

    Args:
        layer: its canonical name.
        units: width of its output's last axis.
        given: standard deviation of its inputs; NaN for token ids.
        mean, std: of its outputs, before any activation function.
        silent: share of outputs at or below 0 whose gradient is 0 up to rounding; 0 of
            recurrent layers. Before a ReLU these are the values it sets to 0; before a
            max-pool alone, also values that are not the maximum.
        dead: number of units that are silent on all examples, at all positions.
        saturated: of a recurrent layer, by gate: the share of its values where the
            gate's slope is below 1 % of its steepest.
        gradient: norm of the loss's gradient with respect to the outputs.
        weight, weight_gradient: norms of the trainable parameters and their gradient.
        ratio: weight_gradient / weight: an SGD step moves the weights by lr times this.
    """

    layer: str
    units: int
    given: float
    mean: float
    std: float
    silent: float
    dead: int
    saturated: dict[str, float]
    gradient: float
    weight: float
    weight_gradient: float
    ratio: float


class Finding(NamedTuple):
    """Something that is wrong in a layer.

    Args:
        kind: "not finite", "flat", "dead", "cut off", "vanishing", "exploding" or
            "saturated".
        layer: name of the layer, or of its gate.
        value: the figure that shows it.
        text: a description, with a remedy.
    """

    kind: str
    layer: str
    value: float
    text: str


def diagnose(rows: Sequence[LayerFigures]) -> list[Finding]:
    """Return what may keep the loss from falling; an empty list if nothing is wrong.

    Args:
        rows: the figures that `statistics` returned.
    """
    if broken := _not_finite(rows):
        return [broken]
    if rows and not any(r.gradient for r in rows):
        return [
            Finding(
                "flat",
                rows[-1].layer,
                0.0,
                "no gradient leaves the loss: it is flat at these outputs. Either every"
                " example is fitted exactly, or the logits are so large that the loss"
                " saturates; look at their standard deviation and scale them down.",
            )
        ]
    return [*_dead(rows), *_vanishing(rows), *_exploding(rows), *_saturated(rows)]


def _not_finite(rows: Sequence[LayerFigures]) -> Finding | None:
    outputs = [r for r in rows if not math.isfinite(r.std)]
    slopes = [r for r in rows if not math.isfinite(r.gradient)]
    if not outputs and not slopes:
        return None
    # outputs break first in the first layer, gradients in the last
    row, kind = (outputs[0], "outputs") if outputs else (slopes[-1], "gradients")
    return Finding(
        "not finite",
        row.layer,
        row.std if outputs else row.gradient,
        f"{row.layer}: here the first {kind} that are not finite appear. Look for"
        " infinity or NaN in the data; then try a smaller learning rate, gradient"
        " clipping, or float32 instead of half precision.",
    )


def _dead(rows: Sequence[LayerFigures]) -> Iterator[Finding]:
    for row in rows:
        share = row.dead / row.units
        if share >= DEAD:
            yield Finding(
                "dead",
                row.layer,
                share,
                f"{row.layer}: {row.dead} of {row.units} units are dead: zero after the"
                " ReLU on every example, so no gradient reaches their weights. Try a"
                " smaller learning rate, biases that start at 0, a norm before the"
                " activation, or leaky_relu.",
            )
    cut = [r for r in rows if r.gradient == 0 and r.dead < r.units]
    if cut:
        yield Finding(
            "cut off",
            cut[0].layer,
            float(len(cut)),
            f"{cut[0].layer}: the gradient is exactly 0 here"
            + (f" and in {len(cut) - 1} other layers" if len(cut) > 1 else "")
            + ": nothing of the loss comes back. Look for a dead layer behind, an"
            " output that the loss does not use, or numbers too small for the dtype.",
        )


def _vanishing(rows: Sequence[LayerFigures]) -> Iterator[Finding]:
    alive = [r for r in rows if r.gradient > 0]
    if len(alive) < 3:
        return
    first, top = alive[0], max(alive, key=lambda r: r.gradient)
    fall = first.gradient / top.gradient
    if fall < FALL:
        steps = alive.index(top)
        yield Finding(
            "vanishing",
            first.layer,
            fall,
            f"{first.layer}: its gradient is {fall:.1g} times that of {top.layer},"
            f" {steps} layers on; it shrinks to {fall ** (1 / steps):.2g} at each. The"
            " early layers hardly learn. Try relu or gelu instead of sigmoid or tanh,"
            " an initializer that fits the activation, norms, or residual blocks.",
        )


def _exploding(rows: Sequence[LayerFigures]) -> Iterator[Finding]:
    remedy = (
        " Try an initializer that fits the activation, a norm, a smaller learning rate"
        " or gradient clipping; and scale the inputs to a deviation of about 1."
    )
    given = next((r.given for r in rows if r.given > 0), 0.0)  # NaN for token ids
    grown = [r for r in rows if given and r.std > RISE * given]
    if grown:
        rise = grown[0].std / given
        yield Finding(
            "exploding",
            grown[0].layer,
            rise,
            f"{grown[0].layer}: its outputs deviate by {grown[0].std:.2g}, {rise:.2g}"
            f" times as much as the inputs; weight norm {grown[0].weight:.2g}.{remedy}",
        )
    alive = [r for r in rows if r.gradient > 0]
    if not alive:
        return
    last, top = alive[-1], max(alive, key=lambda r: r.gradient)
    rise = top.gradient / last.gradient
    if rise > RISE:
        yield Finding(
            "exploding",
            top.layer,
            rise,
            f"{top.layer}: its gradient is {rise:.2g} times that of {last.layer}, the"
            f" last layer: it grows on its way back.{remedy}",
        )


def _saturated(rows: Sequence[LayerFigures]) -> Iterator[Finding]:
    for row in rows:
        for gate, share in row.saturated.items():
            if share > SATURATED:
                yield Finding(
                    "saturated",
                    f"{row.layer}.{gate}",
                    share,
                    f"{row.layer}: gate {gate} is saturated in {share:.0%} of its"
                    " values: almost fully open or shut, where no gradient passes. Try"
                    " smaller weights and biases, a smaller learning rate, gradient"
                    " clipping, or inputs of smaller scale.",
                )
