"""Recurrent networks: vanilla RNN, LSTM and GRU over tokens or raw features.

Tokens (N, T) or features (N, T, C), with optional lengths (N,) -> logits
(N, num_classes), or (N, T, num_classes) for `output="sequence"`.
"""

from __future__ import annotations

from typing import Any

from keras import layers

from ..configs.rnn import RecurrentNetConfig
from ._layers import GRU, LSTM, RNN, Model


class RecurrentNet(Model):
    """Embedding (optional), stacked recurrence, linear head (optional)."""

    def __init__(self, config: RecurrentNetConfig) -> None:
        super().__init__(config)
        if config.vocabulary:
            self.embedding = layers.Embedding(config.vocabulary, config.in_features)
        self.rnn = {"rnn": RNN, "lstm": LSTM, "gru": GRU}[config.cell](
            config.in_features,
            config.hidden_size,
            config.num_layers,
            config.bidirectional,
            config.dropout,
        )
        self.dropout = layers.Dropout(config.dropout)
        if config.num_classes:
            self.fc = layers.Dense(config.num_classes)

    def call(self, x: Any, lengths: Any = None) -> Any:
        # § embed
        if self.config.vocabulary:
            x = self.embedding(x)  # (N, T) -> (N, T, C)
        # § recur
        outputs, last = self.rnn(x, lengths)  # (N, T, D*H), (N, D*H)
        x = last if self.config.output == "last" else outputs
        # § head
        x = self.dropout(x)
        return self.fc(x) if self.config.num_classes else x
