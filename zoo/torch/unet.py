"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597), padded so that sizes are kept.

Image (N, C, H, W) -> logits (N, num_classes, H, W); H and W divisible by
2^(levels - 1). With `time_width`, also a time step (N,), as in diffusion models.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..configs.unet import UNetConfig
from ..spec.positions import sinusoid_frequencies
from ._layers import activation, image_norm


class TimeEmbedding(nn.Module):
    """Time step (N,) -> (N, width): sines, cosines, then a two-layer MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, time: Tensor) -> Tensor:
        # § sines and cosines
        frequencies = sinusoid_frequencies(self.width)
        angle = time[:, None] * time.new_tensor(frequencies)
        x = torch.cat((torch.sin(angle), torch.cos(angle)), 1)
        # § mlp
        return self.fc2(F.silu(self.fc1(x)))


class DoubleConv(nn.Module):
    """(3x3 convolution, norm, activation) twice: c_in -> c_out channels."""

    def __init__(self, c_in: int, c_out: int, config: UNetConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm1 = image_norm(config.norm, c_out, config.groups)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.norm2 = image_norm(config.norm, c_out, config.groups)
        self.act = activation(config.activation)
        if config.time_width:
            self.time = nn.Linear(config.time_width, c_out)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        x = self.act(self.norm1(self.conv1(x)))
        if time is not None:
            x = x + self.time(F.silu(time))[:, :, None, None]
        return self.act(self.norm2(self.conv2(x)))


class UNet(nn.Module):
    """Encoder, bottleneck, decoder; each level's features skip across."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        *widths, bottom = config.widths
        ins = [config.in_channels, *widths]
        if config.time_width:
            self.embed = TimeEmbedding(config.time_width)
        self.down = nn.ModuleList(DoubleConv(a, b, config) for a, b in zip(ins, widths))
        self.middle = DoubleConv(ins[-1], bottom, config)
        self.dropout = nn.Dropout(config.dropout)
        ups = list(zip([bottom, *widths[:0:-1]], widths[::-1]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in ups)
        self.merge = nn.ModuleList(DoubleConv(2 * b, b, config) for _, b in ups)
        self.head = nn.Conv2d(widths[0], config.num_classes, 1)

    def forward(self, image: Tensor, time: Tensor | None = None) -> Tensor:
        self.config.check_size(image.shape[2], image.shape[3])
        x, skips = image, []
        if time is not None:
            time = self.embed(time)
        # § encode
        for block in self.down:
            x = block(x, time)
            skips.append(x)
            x = F.max_pool2d(x, 2, 2)  # H, W halve
        # § bottleneck
        x = self.dropout(self.middle(x, time))
        # § decode
        for up, merge, skip in zip(self.up, self.merge, skips[::-1]):
            x = torch.cat((skip, up(x)), 1)  # H, W double
            x = merge(x, time)
        # § head
        return self.head(x)
