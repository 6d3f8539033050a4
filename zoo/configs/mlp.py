"""Multilayer perceptrons, from one neuron to three layers.

Rosenblatt 1958 (no hidden layer); Rumelhart, Hinton and Williams 1986 (hidden layers).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from ._base import ACTIVATIONS, VECTOR_NORMS, Config, Input
from ._work import Work, linear_work


@dataclass(frozen=True, kw_only=True)
class MLPConfig(Config):
    """Everything that defines a multilayer perceptron.

    Args:
        in_features: width of the input.
        hidden: width of each hidden layer; () for none: a single linear layer.
        num_classes: logits; a single logit is for two classes.
        norm: after each hidden linear layer: none, batch, group, layer or rms.
        groups: groups of the group norm.
        activation: after each norm; `prelu` shares one slope among all layers.
        dropout: after each activation, in training.
    """

    in_features: int = 784
    hidden: tuple[int, ...] = (256, 256)
    num_classes: int = 10
    norm: str = "none"
    groups: int = 8
    activation: str = "relu"
    dropout: float = 0.0

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "in_features": (1, 5),
        "hidden": ((), (4,), (8, 4), (4, 4, 4)),
        "num_classes": (1, 3),
        "norm": VECTOR_NORMS,
        "groups": (2, 4),
        "activation": ACTIVATIONS,
        "dropout": (0.0, 0.5),
    }

    def validate(self) -> None:
        self._positive("in_features", "num_classes", "groups")
        self._widths("hidden", least=0)
        self._choice("norm", VECTOR_NORMS)
        self._choice("activation", ACTIVATIONS)
        self._fraction("dropout")
        if self.norm == "group":
            # Of a single feature minus its own mean only rounding errors are left.
            if any(w % self.groups or w == self.groups for w in self.hidden):
                wanted = (
                    f"divisible by groups={self.groups}, with two or more in a group"
                )
                raise self._fail("hidden", wanted)

    @property
    def loss(self) -> str:
        return "bce" if self.num_classes == 1 else "cross_entropy"

    def inputs(self) -> tuple[Input, ...]:
        return (Input("features", (self.in_features,)),)

    def work(self) -> tuple[Work, ...]:
        widths = (self.in_features, *self.hidden, self.num_classes)
        names = [f"linears.{i}" for i in range(len(self.hidden))] + ["head"]
        return tuple(
            linear_work(name, a, b, first=i == 0)
            for i, (name, (a, b)) in enumerate(zip(names, pairwise(widths)))
        )

    def small(self) -> MLPConfig:
        return self.override(
            in_features=min(self.in_features, 9),
            hidden=tuple(6 + 2 * i for i in range(len(self.hidden))),
            num_classes=min(self.num_classes, 5),
            groups=min(self.groups, 2),
        )


PRESETS = {
    "mlp": MLPConfig(),
    "mnist_mlp": MLPConfig(hidden=(512, 256), dropout=0.2),
    "mnist_mlp_small": MLPConfig(hidden=(128, 64)),
    "mlp_bn_gelu": MLPConfig(
        hidden=(512, 256), norm="batch", activation="gelu", dropout=0.2
    ),
    "tabular_mlp": MLPConfig(
        in_features=20, hidden=(128, 64), num_classes=2, dropout=0.2
    ),
    "tiny_mlp": MLPConfig(in_features=3, hidden=(4,), num_classes=2),
    "perceptron": MLPConfig(
        in_features=2, hidden=(), num_classes=1, activation="identity"
    ),
    "xor_mlp": MLPConfig(in_features=2, hidden=(4,), num_classes=1, activation="tanh"),
}
