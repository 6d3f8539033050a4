"""Features (N, in_features) -> logits (N, num_classes)."""

import torch
from torch import nn


class GatedMLP(nn.Module):
    """Linear, times the sigmoid of another; linear head."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.value = nn.Linear(config.in_features, config.hidden)
        self.gate = nn.Linear(config.in_features, config.hidden)
        self.head = nn.Linear(config.hidden, config.num_classes)

    def forward(self, x):
        return self.head(self.value(x) * torch.sigmoid(self.gate(x)))
