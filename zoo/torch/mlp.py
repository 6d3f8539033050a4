"""Multilayer perceptron: linear layers with a nonlinearity between them.

Features (N, in_features) -> logits (N, num_classes). Rosenblatt 1958 (no hidden
layer); Rumelhart, Hinton and Williams 1986 (hidden layers).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ..configs.mlp import MLPConfig
from ._layers import activation, vector_norm


class MLP(nn.Module):
    """Hidden layers of (linear, norm, activation, dropout), then a linear head."""

    def __init__(self, config: MLPConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.in_features, *config.hidden]
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(
            vector_norm(config.norm, width, config.groups) for width in config.hidden
        )
        self.act = activation(config.activation)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(widths[-1], config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        # § hidden layers
        for linear, norm in zip(self.linears, self.norms):
            x = self.act(norm(linear(x)))
            x = self.dropout(x)
        # § head
        return self.head(x)
