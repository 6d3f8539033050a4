"""The multiply-adds of a model, counted from its config.

Divided by the machine's peak rate of matrix multiplication, they give the least time of
a step; the rest of a measured time is overhead. The formulas are in
`zoo.configs._work`, the layers of each architecture in its `Config.work`.
"""

from __future__ import annotations

from typing import NamedTuple

from ._base import Config
from ._work import Work


class Macs(NamedTuple):
    """Multiply-adds for one example of the config's own input size.

    A multiply-add is two floating-point operations.
    """

    inference: int
    training: int
    layers: tuple[Work, ...]


def multiply_adds(config: Config) -> Macs | None:
    """Return a config's multiply-adds; None where its class does not count them.

    A training step costs the forward pass, as much again for the gradients of the
    weights, and once more for those of each layer's input, except for layers on the
    network's own input. Attention's products have two inputs instead of weights, and
    also cost three times the forward pass. Arithmetic that a kernel repeats to save
    memory, as fused attention does, is not counted.
    """
    layers = config.work()
    if not layers:
        return None
    inference = sum(work.macs for work in layers)
    training = sum(work.macs * (2 + work.input_gradient) for work in layers)
    return Macs(inference, training, layers)
