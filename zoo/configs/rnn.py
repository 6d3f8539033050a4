"""Recurrent networks: Elman 1990; LSTM, Hochreiter and Schmidhuber 1997; and GRU.

The GRU (Cho et al. 2014, arXiv:1406.1078) has its reset gate after the matmul.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ._base import Config, Init, Input
from ._work import Work, linear_work, recurrent_work


@dataclass(frozen=True, kw_only=True)
class RecurrentNetConfig(Config):
    """Everything that defines a recurrent classifier or regressor.

    Args:
        cell: "rnn" (tanh), "lstm" or "gru".
        vocabulary: number of token ids of an embedding; 0 for raw feature input.
        in_features: width of the embedding, or of the raw features.
        hidden_size, num_layers, bidirectional: shape of the recurrence.
        num_classes: logits; 0 returns the features themselves.
        dropout: between layers and before the last linear layer, in training.
        output: "last" (the state after each direction's last step) or "sequence".
        length: time steps of the example inputs; any length works.
    """

    cell: str = "lstm"
    vocabulary: int = 0
    in_features: int = 128
    hidden_size: int = 256
    num_layers: int = 1
    bidirectional: bool = False
    num_classes: int = 10
    dropout: float = 0.0
    output: str = "last"
    length: int = 32

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "cell": ("rnn", "lstm", "gru"),
        "vocabulary": (0, 11),
        "in_features": (1, 4),
        "hidden_size": (1, 5),
        "num_layers": (1, 2, 3),
        "bidirectional": (False, True),
        "num_classes": (0, 1, 3),
        "output": ("last", "sequence"),
        "length": (1, 7),
    }

    def validate(self) -> None:
        self._choice("cell", ("rnn", "lstm", "gru"))
        self._choice("output", ("last", "sequence"))
        self._positive("in_features", "hidden_size", "num_layers", "length")
        self._flag("bidirectional")
        self._fraction("dropout")
        for name in ("vocabulary", "num_classes"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 0:
                raise self._fail(name, "0 or a positive integer")

    @property
    def loss(self) -> str:
        if self.num_classes == 0:
            return "mse"
        return "bce" if self.num_classes == 1 else "cross_entropy"

    @property
    def scheme(self) -> str:
        return "xavier" if self.initializer == "auto" else self.initializer

    def inputs(self) -> tuple[Input, ...]:
        lengths = Input("lengths", (), "length", self.length, optional=True)
        if self.vocabulary:
            return Input("tokens", (self.length,), "token", self.vocabulary), lengths
        return Input("features", (self.length, self.in_features)), lengths

    def init_rules(self) -> tuple[tuple[str, Init], ...]:
        rules = [("embedding.weight", Init("std", 1.0))]
        if self.cell == "lstm":
            rules.append(("rnn.bias_ih_*", Init("lstm_bias")))
        return tuple(rules)

    def work(self) -> tuple[Work, ...]:
        gates = {"rnn": 1, "lstm": 4, "gru": 3}[self.cell]
        c_in, hidden, works = self.in_features, self.hidden_size, []
        directions = ("", "_reverse") if self.bidirectional else ("",)
        for layer in range(self.num_layers):
            raw = not (layer or self.vocabulary)
            for end in directions:
                name = f"l{layer}{end}"
                works += recurrent_work(
                    name, gates, c_in, hidden, self.length, first=raw
                )
            c_in = len(directions) * hidden
        if self.num_classes:
            rows = self.length if self.output == "sequence" else 1
            works.append(linear_work("fc", c_in, self.num_classes, rows))
        return tuple(works)

    def small(self) -> RecurrentNetConfig:
        return self.override(
            vocabulary=min(self.vocabulary, 50),
            in_features=6,
            hidden_size=5,
            length=9,
        )


PRESETS = {
    "rnn": RecurrentNetConfig(cell="rnn"),
    "lstm": RecurrentNetConfig(cell="lstm"),
    "gru": RecurrentNetConfig(cell="gru"),
    "gru_2x256": RecurrentNetConfig(cell="gru", num_layers=2),
    "row_lstm": RecurrentNetConfig(cell="lstm", in_features=8, length=8),
    "sentiment_lstm": RecurrentNetConfig(
        vocabulary=20_000,
        num_layers=2,
        bidirectional=True,
        num_classes=1,
        dropout=0.3,
        length=64,
    ),
}
