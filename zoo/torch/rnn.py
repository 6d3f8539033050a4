"""Recurrent networks: vanilla RNN, LSTM and GRU over tokens or raw features.

Tokens (N, T) or features (N, T, C), with optional lengths (N,) -> logits
(N, num_classes), or (N, T, num_classes) for `output="sequence"`.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..configs.rnn import RecurrentNetConfig
from ._layers import GRU, LSTM, RNN


class RecurrentNet(nn.Module):
    """Embedding (optional), stacked recurrence, linear head (optional)."""

    def __init__(self, config: RecurrentNetConfig) -> None:
        super().__init__()
        self.config = config
        if config.vocabulary:
            self.embedding = nn.Embedding(config.vocabulary, config.in_features)
        self.rnn = {"rnn": RNN, "lstm": LSTM, "gru": GRU}[config.cell](
            config.in_features,
            config.hidden_size,
            config.num_layers,
            config.bidirectional,
            config.dropout,
        )
        self.dropout = nn.Dropout(config.dropout)
        if config.num_classes:
            directions = 2 if config.bidirectional else 1
            width = directions * config.hidden_size
            self.fc = nn.Linear(width, config.num_classes)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        # § embed
        if self.config.vocabulary:
            x = self.embedding(x)  # (N, T) -> (N, T, C)
        # § recur
        outputs, last = self.rnn(x, lengths)  # (N, T, D*H), (N, D*H)
        x = last if self.config.output == "last" else outputs
        # § head
        x = self.dropout(x)
        return self.fc(x) if self.config.num_classes else x
