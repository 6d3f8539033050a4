"""Features (N, in_features) -> logits (N, num_classes)."""

import jax
from flax import nnx


class GatedMLP(nnx.Module):
    """Linear, times the sigmoid of another; linear head."""

    def __init__(self, config, *, rngs):
        self.config = config
        self.value = nnx.Linear(config.in_features, config.hidden, rngs=rngs)
        self.gate = nnx.Linear(config.in_features, config.hidden, rngs=rngs)
        self.head = nnx.Linear(config.hidden, config.num_classes, rngs=rngs)

    def __call__(self, x):
        return self.head(self.value(x) * jax.nn.sigmoid(self.gate(x)))
