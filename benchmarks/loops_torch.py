"""A training step of PyTorch as a good engineer writes it by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def by_hand(
    model: nn.Module, images: np.ndarray, labels: np.ndarray, lr: float, decay: float
) -> Callable[[np.ndarray], float]:
    """Return a step: it trains on the examples at some indices, returns the loss."""
    labels = labels.astype(np.int64)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=lr, weight_decay=decay, fused=True
    )
    model.train()

    def step(indices: np.ndarray) -> float:
        x = torch.from_numpy(images[indices]).permute(0, 3, 1, 2).contiguous()
        y = torch.from_numpy(labels[indices])
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
