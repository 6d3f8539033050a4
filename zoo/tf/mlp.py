"""Multilayer perceptron: linear layers with a nonlinearity between them.

Features (N, in_features) -> logits (N, num_classes). Rosenblatt 1958 (no hidden
layer); Rumelhart, Hinton and Williams 1986 (hidden layers).
"""

from __future__ import annotations

from typing import Any

from keras import layers

from ..configs.mlp import MLPConfig
from ._layers import Model, activation, vector_norm


class MLP(Model):
    """Hidden layers of (linear, norm, activation, dropout), then a linear head."""

    def __init__(self, config: MLPConfig) -> None:
        super().__init__(config)
        self.linears = [layers.Dense(width) for width in config.hidden]
        self.norms = [
            vector_norm(config.norm, width, config.groups) for width in config.hidden
        ]
        self.act = activation(config.activation)
        self.dropout = layers.Dropout(config.dropout)
        self.head = layers.Dense(config.num_classes)

    def call(self, x: Any) -> Any:
        # § hidden layers
        for linear, norm in zip(self.linears, self.norms):
            x = self.act(norm(linear(x)))
            x = self.dropout(x)
        # § head
        return self.head(x)
