"""Convolutional networks: plain ones with LeNet-5, VGG, GoogLeNet.

Image (N, H, W, C) -> logits (N, num_classes). LeCun et al. 1998; Simonyan and
Zisserman 2014 (arXiv:1409.1556); Szegedy et al. 2014 (arXiv:1409.4842) with batch norm.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from keras import layers, ops

from ..configs.cnn import (
    IMAGENET_SCALE,
    IMAGENET_SHIFT,
    CNNConfig,
    GoogLeNetConfig,
    VGGConfig,
)
from ._layers import (
    BatchNorm,
    Model,
    PaddedConv2D,
    activation,
    adaptive_avg_pool,
    chain,
    image_norm,
    max_pool,
)


def flatten(x: Any) -> Any:
    """Flatten (N, H, W, C) to (N, C*H*W), in PyTorch's order."""
    x = ops.transpose(x, (0, 3, 1, 2))
    return ops.reshape(x, (-1, math.prod(x.shape[1:])))


class CNN(Model):
    """Blocks of (convolution, norm, activation, pooling), then linear layers."""

    def __init__(self, config: CNNConfig) -> None:
        super().__init__(config)
        self.convs, self.norms = [], []
        for i, width in enumerate(config.widths):
            pad = "same" if i < config.padded else "valid"
            self.convs.append(layers.Conv2D(width, config.kernel, padding=pad))
            self.norms.append(image_norm(config.norm, width, config.groups))
        self.act = activation(config.activation)
        self.pool = {"max": ops.max_pool, "avg": ops.average_pool}[config.pool]
        self.linears = [layers.Dense(width) for width in config.hidden]
        self.dropout = layers.Dropout(config.dropout)
        self.head = layers.Dense(config.num_classes)

    def call(self, image: Any) -> Any:
        self.config.check_size(image.shape[1], image.shape[2])
        # § convolve
        x = image
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = self.act(norm(conv(x)))
            if i < self.config.pools:
                x = self.pool(x, 2, 2)  # H, W halve
        # § image to vector
        if self.config.global_pool:
            x = ops.mean(x, (1, 2))  # (N, H, W, C) -> (N, C)
        else:
            x = flatten(x)  # (N, H, W, C) -> (N, C*H*W)
        # § classify
        for linear in self.linears:
            x = self.act(linear(self.dropout(x)))
        return self.head(self.dropout(x))


class VGG(Model):
    """Stages of 3x3 convolutions and a max-pool, then three linear layers."""

    def __init__(self, config: VGGConfig) -> None:
        super().__init__(config)
        self.features = []
        for depth, width in zip(config.depths, config.widths):
            for _ in range(depth):
                self.features.append(layers.Conv2D(width, 3, padding="same"))
                if config.norm != "none":
                    norm = image_norm(config.norm, width, config.groups)
                    self.features.append(norm)
                self.features.append(ops.relu)
            self.features.append(partial(max_pool, kernel=2, stride=2))
        self.classifier = []
        for width in config.hidden:
            linear = layers.Dense(width)
            self.classifier += [linear, ops.relu, layers.Dropout(config.dropout)]
        self.classifier.append(layers.Dense(config.num_classes))

    def call(self, image: Any) -> Any:
        self.config.check_size(image.shape[1], image.shape[2])
        # § convolve
        x = chain(self.features, image)  # H, W / 32
        # § image to vector
        x = adaptive_avg_pool(x, self.config.grid)  # (N, 7, 7, C)
        x = flatten(x)  # (N, C*7*7)
        # § classify
        return chain(self.classifier, x)


class BasicConv2d(layers.Layer):
    """Convolution without bias, padded by kernel // 2; batch norm; ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        if stride > 1:
            self.conv = PaddedConv2D(c_out, kernel, stride, kernel // 2, bias=False)
        else:
            self.conv = layers.Conv2D(c_out, kernel, padding="same", use_bias=False)
        self.bn = BatchNorm(eps=1e-3)

    def call(self, x: Any) -> Any:
        return ops.relu(self.bn(self.conv(x)))


class Inception(layers.Layer):
    """Four branches beside each other, their channels concatenated.

    The "5x5" branch has a 3x3 kernel: an old mistake in torchvision, whose weights have
    it.
    """

    def __init__(
        self, c_in: int, c1: int, r3: int, c3: int, r5: int, c5: int, c_pool: int
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv2d(c_in, c1, 1)
        self.branch2 = [
            BasicConv2d(c_in, r3, 1),
            BasicConv2d(r3, c3, 3),
        ]
        self.branch3 = [
            BasicConv2d(c_in, r5, 1),
            BasicConv2d(r5, c5, 3),
        ]
        self.branch4 = [
            partial(max_pool, kernel=3, stride=1, padding=1),
            BasicConv2d(c_in, c_pool, 1),
        ]

    def call(self, x: Any) -> Any:
        branches = ([self.branch1], self.branch2, self.branch3, self.branch4)
        return ops.concatenate([chain(branch, x) for branch in branches], -1)


class GoogLeNet(Model):
    """Stem of three convolutions, nine Inception blocks, a linear layer."""

    def __init__(self, config: GoogLeNetConfig) -> None:
        super().__init__(config)
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
        self.dropout = layers.Dropout(config.dropout)
        self.fc = layers.Dense(config.num_classes)

    def call(self, image: Any) -> Any:
        self.config.check_size(image.shape[1], image.shape[2])
        x = image
        if self.config.transform_input:
            scale = ops.convert_to_tensor(IMAGENET_SCALE, dtype=x.dtype)
            shift = ops.convert_to_tensor(IMAGENET_SHIFT, dtype=x.dtype)
            x = x * scale + shift
        # § stem
        x = self.conv1(x)  # H, W / 2
        x = max_pool(x, 3, 2, ceil=True)  # / 4
        x = self.conv3(self.conv2(x))
        x = max_pool(x, 3, 2, ceil=True)  # / 8
        # § inception 3
        x = self.inception3b(self.inception3a(x))
        x = max_pool(x, 3, 2, ceil=True)  # / 16
        # § inception 4
        x = self.inception4b(self.inception4a(x))
        x = self.inception4d(self.inception4c(x))
        x = self.inception4e(x)
        x = max_pool(x, 2, 2, ceil=True)  # / 32
        # § inception 5
        x = self.inception5b(self.inception5a(x))
        # § classify
        x = ops.mean(x, (1, 2))  # (N, H, W, C) -> (N, C)
        return self.fc(self.dropout(x))
