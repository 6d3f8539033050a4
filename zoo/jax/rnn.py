"""Recurrent networks: vanilla RNN, LSTM and GRU over tokens or raw features.

Tokens (N, T) or features (N, T, C), with optional lengths (N,) -> logits
(N, num_classes), or (N, T, num_classes) for `output="sequence"`.
"""

from __future__ import annotations

from flax import nnx
from jax import Array

from ..configs.rnn import RecurrentNetConfig
from ._layers import GRU, LSTM, RNN


class RecurrentNet(nnx.Module):
    """Embedding (optional), stacked recurrence, linear head (optional)."""

    def __init__(self, config: RecurrentNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        if config.vocabulary:
            self.embedding = nnx.Embed(config.vocabulary, config.in_features, rngs=rngs)
        self.rnn = {"rnn": RNN, "lstm": LSTM, "gru": GRU}[config.cell](
            config.in_features,
            config.hidden_size,
            config.num_layers,
            config.bidirectional,
            config.dropout,
            rngs=rngs,
        )
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        if config.num_classes:
            directions = 2 if config.bidirectional else 1
            width = directions * config.hidden_size
            self.fc = nnx.Linear(width, config.num_classes, rngs=rngs)

    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        # § embed
        if self.config.vocabulary:
            x = self.embedding(x)  # (N, T) -> (N, T, C)
        # § recur
        outputs, last = self.rnn(x, lengths)  # (N, T, D*H), (N, D*H)
        x = last if self.config.output == "last" else outputs
        # § head
        x = self.dropout(x)
        return self.fc(x) if self.config.num_classes else x
