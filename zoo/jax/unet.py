"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597), padded so that sizes are kept.

Image (N, H, W, C) -> logits (N, H, W, num_classes); H and W divisible by
2^(levels - 1). With `time_width`, also a time step (N,), as in diffusion models.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from ..configs.unet import UNetConfig
from ..spec.positions import sinusoid_frequencies
from ._layers import ConvTranspose, activation, image_norm, max_pool


class TimeEmbedding(nnx.Module):
    """Time step (N,) -> (N, width): sines, cosines, then a two-layer MLP."""

    def __init__(self, width: int, *, rngs: nnx.Rngs) -> None:
        self.width = width
        self.fc1 = nnx.Linear(width, width, rngs=rngs)
        self.fc2 = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, time: Array) -> Array:
        # § sines and cosines
        frequencies = sinusoid_frequencies(self.width)
        angle = time[:, None] * jnp.asarray(frequencies, time.dtype)
        x = jnp.concatenate((jnp.sin(angle), jnp.cos(angle)), 1)
        # § mlp
        return self.fc2(jax.nn.silu(self.fc1(x)))


class DoubleConv(nnx.Module):
    """(3x3 convolution, norm, activation) twice: c_in -> c_out channels."""

    def __init__(
        self, c_in: int, c_out: int, config: UNetConfig, *, rngs: nnx.Rngs
    ) -> None:
        norm, groups = config.norm, config.groups
        self.conv1 = nnx.Conv(c_in, c_out, (3, 3), padding=1, rngs=rngs)
        self.norm1 = image_norm(norm, c_out, groups, rngs=rngs)
        self.conv2 = nnx.Conv(c_out, c_out, (3, 3), padding=1, rngs=rngs)
        self.norm2 = image_norm(norm, c_out, groups, rngs=rngs)
        self.act = activation(config.activation)
        if config.time_width:
            self.time = nnx.Linear(config.time_width, c_out, rngs=rngs)

    def __call__(self, x: Array, time: Array | None = None) -> Array:
        x = self.act(self.norm1(self.conv1(x)))
        if time is not None:
            x = x + self.time(jax.nn.silu(time))[:, None, None, :]
        return self.act(self.norm2(self.conv2(x)))


class UNet(nnx.Module):
    """Encoder, bottleneck, decoder; each level's features skip across."""

    def __init__(self, config: UNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        *widths, bottom = config.widths
        ins = [config.in_channels, *widths]
        if config.time_width:
            self.embed = TimeEmbedding(config.time_width, rngs=rngs)
        self.down = nnx.List(
            DoubleConv(a, b, config, rngs=rngs) for a, b in zip(ins, widths)
        )
        self.middle = DoubleConv(ins[-1], bottom, config, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        ups = list(zip([bottom, *widths[:0:-1]], widths[::-1]))
        self.up = nnx.List(ConvTranspose(a, b, 2, rngs=rngs) for a, b in ups)
        self.merge = nnx.List(DoubleConv(2 * b, b, config, rngs=rngs) for _, b in ups)
        self.head = nnx.Conv(widths[0], config.num_classes, (1, 1), rngs=rngs)

    def __call__(self, image: Array, time: Array | None = None) -> Array:
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
            x = jnp.concatenate((skip, up(x)), -1)  # H, W double
            x = merge(x, time)
        # § head
        return self.head(x)
