"""Features (N, in_features) -> logits (N, num_classes)."""

from keras import layers, ops

from zoo.tf._layers import Model


class GatedMLP(Model):
    """Linear, times the sigmoid of another; linear head."""

    def __init__(self, config):
        super().__init__(config)
        self.value = layers.Dense(config.hidden)
        self.gate = layers.Dense(config.hidden)
        self.head = layers.Dense(config.num_classes)

    def call(self, x):
        return self.head(self.value(x) * ops.sigmoid(self.gate(x)))
