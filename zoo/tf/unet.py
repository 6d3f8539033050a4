"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597), padded so that sizes are kept.

Image (N, H, W, C) -> logits (N, H, W, num_classes); H and W divisible by
2^(levels - 1). With `time_width`, also a time step (N,), as in diffusion models.
"""

from __future__ import annotations

from typing import Any

from keras import layers, ops

from ..configs.unet import UNetConfig
from ..spec.positions import sinusoid_frequencies
from ._layers import Model, activation, image_norm, max_pool


class TimeEmbedding(layers.Layer):
    """Time step (N,) -> (N, width): sines, cosines, then a two-layer MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.fc1 = layers.Dense(width)
        self.fc2 = layers.Dense(width)

    def call(self, time: Any) -> Any:
        # § sines and cosines
        frequencies = sinusoid_frequencies(self.width)
        angle = time[:, None] * ops.convert_to_tensor(frequencies, dtype=time.dtype)
        x = ops.concatenate((ops.sin(angle), ops.cos(angle)), 1)
        # § mlp
        return self.fc2(ops.silu(self.fc1(x)))


class DoubleConv(layers.Layer):
    """(3x3 convolution, norm, activation) twice: c_in -> c_out channels."""

    def __init__(self, c_in: int, c_out: int, config: UNetConfig) -> None:
        super().__init__()
        self.conv1 = layers.Conv2D(c_out, 3, padding="same")
        self.norm1 = image_norm(config.norm, c_out, config.groups)
        self.conv2 = layers.Conv2D(c_out, 3, padding="same")
        self.norm2 = image_norm(config.norm, c_out, config.groups)
        self.act = activation(config.activation)
        if config.time_width:
            self.time = layers.Dense(c_out)

    def call(self, x: Any, time: Any = None) -> Any:
        x = self.act(self.norm1(self.conv1(x)))
        if time is not None:
            x = x + self.time(ops.silu(time))[:, None, None, :]
        return self.act(self.norm2(self.conv2(x)))


class UNet(Model):
    """Encoder, bottleneck, decoder; each level's features skip across."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        *widths, bottom = config.widths
        ins = [config.in_channels, *widths]
        if config.time_width:
            self.embed = TimeEmbedding(config.time_width)
        self.down = [DoubleConv(a, b, config) for a, b in zip(ins, widths)]
        self.middle = DoubleConv(ins[-1], bottom, config)
        self.dropout = layers.Dropout(config.dropout)
        ups = list(zip([bottom, *widths[:0:-1]], widths[::-1]))
        self.up = [layers.Conv2DTranspose(b, 2, strides=2) for _, b in ups]
        self.merge = [DoubleConv(2 * b, b, config) for _, b in ups]
        self.head = layers.Conv2D(config.num_classes, 1)

    def call(self, image: Any, time: Any = None) -> Any:
        self.config.check_size(image.shape[1], image.shape[2])
        x, skips = image, []
        if time is not None:
            time = self.embed(time)
        # § encode
        for block in self.down:
            x = block(x, time)
            skips.append(x)
            x = max_pool(x, 2, 2)  # H, W halve
        # § bottleneck
        x = self.dropout(self.middle(x, time))
        # § decode
        for up, merge, skip in zip(self.up, self.merge, skips[::-1]):
            x = ops.concatenate((skip, up(x)), -1)  # H, W double
            x = merge(x, time)
        # § head
        return self.head(x)
