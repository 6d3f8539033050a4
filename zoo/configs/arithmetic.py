"""How much arithmetic a model is: multiply-adds, counted from its config.

Set against the machine's own matrix-multiply peak, they say how much of a step's time
is the machine's and how much the framework's. The formulas stand in
`zoo.configs._work`; each config says which layers it has (`Config.work`).
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

    A training step is the forward pass, as much again for the gradients of the
    weights, and once more for those of each layer's input, which the layers that see
    the network's own input do without. Attention's products have two inputs for
    weights, and cost three times the forward pass as well. What a kernel computes
    twice to save memory, as fused attention does, is not counted: it is no use to
    anybody.
    """
    layers = config.work()
    if not layers:
        return None
    inference = sum(work.macs for work in layers)
    training = sum(work.macs * (2 + work.input_gradient) for work in layers)
    return Macs(inference, training, layers)
