"""Convolutional networks: plain ones with LeNet-5, VGG, GoogLeNet.

Image (N, C, H, W) -> logits (N, num_classes). LeCun et al. 1998; Simonyan and
Zisserman 2014 (arXiv:1409.1556); Szegedy et al. 2014 (arXiv:1409.4842) with batch norm.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..configs.cnn import (
    IMAGENET_SCALE,
    IMAGENET_SHIFT,
    CNNConfig,
    GoogLeNetConfig,
    VGGConfig,
)
from ._layers import BN_MOMENTUM, activation, image_norm


class CNN(nn.Module):
    """Blocks of (convolution, norm, activation, pooling), then linear layers."""

    def __init__(self, config: CNNConfig) -> None:
        super().__init__()
        self.config = config
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        channels = [config.in_channels, *config.widths]
        for i, (a, b) in enumerate(pairwise(channels)):
            pad = config.kernel // 2 if i < config.padded else 0
            self.convs.append(nn.Conv2d(a, b, config.kernel, padding=pad))
            self.norms.append(image_norm(config.norm, b, config.groups))
        self.act = activation(config.activation)
        self.pool = {"max": F.max_pool2d, "avg": F.avg_pool2d}[config.pool]
        widths = [config.features, *config.hidden]
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(widths[-1], config.num_classes)

    def forward(self, image: Tensor) -> Tensor:
        self.config.check_size(image.shape[2], image.shape[3])
        # § convolve
        x = image
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = self.act(norm(conv(x)))
            if i < self.config.pools:
                x = self.pool(x, 2, 2)  # H, W halve
        # § image to vector
        if self.config.global_pool:
            x = x.mean((2, 3))  # (N, C, H, W) -> (N, C)
        else:
            x = x.flatten(1)  # (N, C, H, W) -> (N, C*H*W)
        # § classify
        for linear in self.linears:
            x = self.act(linear(self.dropout(x)))
        return self.head(self.dropout(x))


class VGG(nn.Module):
    """Stages of 3x3 convolutions and a max-pool, then three linear layers."""

    def __init__(self, config: VGGConfig) -> None:
        super().__init__()
        self.config = config
        features: list[nn.Module] = []
        c_in = config.in_channels
        for depth, width in zip(config.depths, config.widths):
            for _ in range(depth):
                features.append(nn.Conv2d(c_in, width, 3, padding=1))
                if config.norm != "none":
                    norm = image_norm(config.norm, width, config.groups)
                    features.append(norm)
                features.append(nn.ReLU())
                c_in = width
            features.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*features)
        classifier: list[nn.Module] = []
        c_in *= config.grid**2
        for width in config.hidden:
            linear = nn.Linear(c_in, width)
            classifier += [linear, nn.ReLU(), nn.Dropout(config.dropout)]
            c_in = width
        classifier.append(nn.Linear(c_in, config.num_classes))
        self.classifier = nn.Sequential(*classifier)

    def forward(self, image: Tensor) -> Tensor:
        self.config.check_size(image.shape[2], image.shape[3])
        # § convolve
        x = self.features(image)  # H, W / 32
        # § image to vector
        x = F.adaptive_avg_pool2d(x, self.config.grid)  # (N, C, 7, 7)
        x = x.flatten(1)  # (N, C*7*7)
        # § classify
        return self.classifier(x)


class BasicConv2d(nn.Module):
    """Convolution without bias, padded by kernel // 2; batch norm; ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        pad = kernel // 2
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, pad, bias=False)
        self.bn = nn.BatchNorm2d(c_out, eps=1e-3, momentum=BN_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches beside each other, their channels concatenated.

    The "5x5" branch has a 3x3 kernel: an old mistake in torchvision, whose weights have
    it.
    """

    def __init__(
        self, c_in: int, c1: int, r3: int, c3: int, r5: int, c5: int, c_pool: int
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv2d(c_in, c1, 1)
        self.branch2 = nn.Sequential(
            BasicConv2d(c_in, r3, 1),
            BasicConv2d(r3, c3, 3),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(c_in, r5, 1),
            BasicConv2d(r5, c5, 3),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            BasicConv2d(c_in, c_pool, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(x) for branch in branches], 1)


class GoogLeNet(nn.Module):
    """Stem of three convolutions, nine Inception blocks, a linear layer."""

    def __init__(self, config: GoogLeNetConfig) -> None:
        super().__init__()
        self.config = config
        c, block = config.channels, config.inception
        self.conv1 = BasicConv2d(config.in_channels, c(64), 7, stride=2)
        self.conv2 = BasicConv2d(c(64), c(64), 1)
        self.conv3 = BasicConv2d(c(64), c(192), 3)
        self.inception3a = Inception(*block("3a"))
        self.inception3b = Inception(*block("3b"))
        self.inception4a = Inception(*block("4a"))
        self.inception4b = Inception(*block("4b"))
        self.inception4c = Inception(*block("4c"))
        self.inception4d = Inception(*block("4d"))
        self.inception4e = Inception(*block("4e"))
        self.inception5a = Inception(*block("5a"))
        self.inception5b = Inception(*block("5b"))
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(c(1024), config.num_classes)

    def forward(self, image: Tensor) -> Tensor:
        self.config.check_size(image.shape[2], image.shape[3])
        x = image
        if self.config.transform_input:
            scale, shift = x.new_tensor(IMAGENET_SCALE), x.new_tensor(IMAGENET_SHIFT)
            x = x * scale[:, None, None] + shift[:, None, None]
        # § stem
        x = self.conv1(x)  # H, W / 2
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)  # / 4
        x = self.conv3(self.conv2(x))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)  # / 8
        # § inception 3
        x = self.inception3b(self.inception3a(x))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)  # / 16
        # § inception 4
        x = self.inception4b(self.inception4a(x))
        x = self.inception4d(self.inception4c(x))
        x = self.inception4e(x)
        x = F.max_pool2d(x, 2, 2, ceil_mode=True)  # / 32
        # § inception 5
        x = self.inception5b(self.inception5a(x))
        # § classify
        x = x.mean((2, 3))  # (N, C, H, W) -> (N, C)
        return self.fc(self.dropout(x))
