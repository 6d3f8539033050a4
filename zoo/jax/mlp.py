"""Multilayer perceptron: linear layers with a nonlinearity between them.

Features (N, in_features) -> logits (N, num_classes). Rosenblatt 1958 (no hidden
layer); Rumelhart, Hinton and Williams 1986 (hidden layers).
"""

from __future__ import annotations

from itertools import pairwise

from flax import nnx
from jax import Array

from ..configs.mlp import MLPConfig
from ._layers import activation, vector_norm


class MLP(nnx.Module):
    """Hidden layers of (linear, norm, activation, dropout), then a linear head."""

    def __init__(self, config: MLPConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        widths = [config.in_features, *config.hidden]
        self.linears = nnx.List(
            nnx.Linear(a, b, rngs=rngs) for a, b in pairwise(widths)
        )
        self.norms = nnx.List(
            vector_norm(config.norm, width, config.groups, rngs=rngs)
            for width in config.hidden
        )
        self.act = activation(config.activation)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.head = nnx.Linear(widths[-1], config.num_classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        # § hidden layers
        for linear, norm in zip(self.linears, self.norms):
            x = self.act(norm(linear(x)))
            x = self.dropout(x)
        # § head
        return self.head(x)
