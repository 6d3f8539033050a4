"""Convolutional networks: plain ones with LeNet-5, VGG, GoogLeNet.

Image (N, H, W, C) -> logits (N, num_classes). LeCun et al. 1998; Simonyan and
Zisserman 2014 (arXiv:1409.1556); Szegedy et al. 2014 (arXiv:1409.4842) with batch norm.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from ..configs.cnn import (
    IMAGENET_SCALE,
    IMAGENET_SHIFT,
    CNNConfig,
    GoogLeNetConfig,
    VGGConfig,
)
from ._layers import (
    BatchNorm,
    activation,
    adaptive_avg_pool,
    avg_pool,
    image_norm,
    max_pool,
)


def flatten(x: Array) -> Array:
    """Flatten (N, H, W, C) to (N, C*H*W), in PyTorch's order."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


class CNN(nnx.Module):
    """Blocks of (convolution, norm, activation, pooling), then linear layers."""

    def __init__(self, config: CNNConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.convs, self.norms = nnx.List(), nnx.List()
        channels, kernel = [config.in_channels, *config.widths], config.kernel
        for i, (a, b) in enumerate(pairwise(channels)):
            pad = kernel // 2 if i < config.padded else 0
            conv = nnx.Conv(a, b, (kernel, kernel), padding=pad, rngs=rngs)
            self.convs.append(conv)
            self.norms.append(image_norm(config.norm, b, config.groups, rngs=rngs))
        self.act = activation(config.activation)
        self.pool = {"max": max_pool, "avg": avg_pool}[config.pool]
        widths = [config.features, *config.hidden]
        self.linears = nnx.List(
            nnx.Linear(a, b, rngs=rngs) for a, b in pairwise(widths)
        )
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.head = nnx.Linear(widths[-1], config.num_classes, rngs=rngs)

    def __call__(self, image: Array) -> Array:
        self.config.check_size(image.shape[1], image.shape[2])
        # § convolve
        x = image
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = self.act(norm(conv(x)))
            if i < self.config.pools:
                x = self.pool(x, 2, 2)  # H, W halve
        # § image to vector
        if self.config.global_pool:
            x = x.mean((1, 2))  # (N, H, W, C) -> (N, C)
        else:
            x = flatten(x)  # (N, H, W, C) -> (N, C*H*W)
        # § classify
        for linear in self.linears:
            x = self.act(linear(self.dropout(x)))
        return self.head(self.dropout(x))


class VGG(nnx.Module):
    """Stages of 3x3 convolutions and a max-pool, then three linear layers."""

    def __init__(self, config: VGGConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        features: list[Callable[[Array], Array]] = []
        c_in = config.in_channels
        for depth, width in zip(config.depths, config.widths):
            for _ in range(depth):
                features.append(nnx.Conv(c_in, width, (3, 3), padding=1, rngs=rngs))
                if config.norm != "none":
                    norm = image_norm(config.norm, width, config.groups, rngs=rngs)
                    features.append(norm)
                features.append(jax.nn.relu)
                c_in = width
            features.append(partial(max_pool, kernel=2, stride=2))
        self.features = nnx.Sequential(*features)
        classifier: list[Callable[[Array], Array]] = []
        c_in *= config.grid**2
        for width in config.hidden:
            linear = nnx.Linear(c_in, width, rngs=rngs)
            dropout = nnx.Dropout(config.dropout, rngs=rngs)
            classifier += [linear, jax.nn.relu, dropout]
            c_in = width
        classifier.append(nnx.Linear(c_in, config.num_classes, rngs=rngs))
        self.classifier = nnx.Sequential(*classifier)

    def __call__(self, image: Array) -> Array:
        self.config.check_size(image.shape[1], image.shape[2])
        # § convolve
        x = self.features(image)  # H, W / 32
        # § image to vector
        x = adaptive_avg_pool(x, self.config.grid)  # (N, 7, 7, C)
        x = flatten(x)  # (N, C*7*7)
        # § classify
        return self.classifier(x)


class BasicConv2d(nnx.Module):
    """Convolution without bias, padded by kernel // 2; batch norm; ReLU."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        stride: int = 1,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv = nnx.Conv(
            c_in,
            c_out,
            (kernel, kernel),
            stride,
            padding=kernel // 2,
            use_bias=False,
            rngs=rngs,
        )
        self.bn = BatchNorm(c_out, eps=1e-3, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return jax.nn.relu(self.bn(self.conv(x)))


class Inception(nnx.Module):
    """Four branches beside each other, their channels concatenated.

    The "5x5" branch has a 3x3 kernel: an old mistake in torchvision, whose weights have
    it.
    """

    def __init__(
        self,
        c_in: int,
        c1: int,
        r3: int,
        c3: int,
        r5: int,
        c5: int,
        c_pool: int,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.branch1 = BasicConv2d(c_in, c1, 1, rngs=rngs)
        self.branch2 = nnx.Sequential(
            BasicConv2d(c_in, r3, 1, rngs=rngs),
            BasicConv2d(r3, c3, 3, rngs=rngs),
        )
        self.branch3 = nnx.Sequential(
            BasicConv2d(c_in, r5, 1, rngs=rngs),
            BasicConv2d(r5, c5, 3, rngs=rngs),
        )
        self.branch4 = nnx.Sequential(
            partial(max_pool, kernel=3, stride=1, padding=1),
            BasicConv2d(c_in, c_pool, 1, rngs=rngs),
        )

    def __call__(self, x: Array) -> Array:
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return jnp.concatenate([branch(x) for branch in branches], -1)


class GoogLeNet(nnx.Module):
    """Stem of three convolutions, nine Inception blocks, a linear layer."""

    def __init__(self, config: GoogLeNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        c, block = config.channels, config.inception
        self.conv1 = BasicConv2d(config.in_channels, c(64), 7, stride=2, rngs=rngs)
        self.conv2 = BasicConv2d(c(64), c(64), 1, rngs=rngs)
        self.conv3 = BasicConv2d(c(64), c(192), 3, rngs=rngs)
        self.inception3a = Inception(*block("3a"), rngs=rngs)
        self.inception3b = Inception(*block("3b"), rngs=rngs)
        self.inception4a = Inception(*block("4a"), rngs=rngs)
        self.inception4b = Inception(*block("4b"), rngs=rngs)
        self.inception4c = Inception(*block("4c"), rngs=rngs)
        self.inception4d = Inception(*block("4d"), rngs=rngs)
        self.inception4e = Inception(*block("4e"), rngs=rngs)
        self.inception5a = Inception(*block("5a"), rngs=rngs)
        self.inception5b = Inception(*block("5b"), rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.fc = nnx.Linear(c(1024), config.num_classes, rngs=rngs)

    def __call__(self, image: Array) -> Array:
        self.config.check_size(image.shape[1], image.shape[2])
        x = image
        if self.config.transform_input:
            scale = jnp.asarray(IMAGENET_SCALE, x.dtype)
            x = x * scale + jnp.asarray(IMAGENET_SHIFT, x.dtype)
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
        x = x.mean((1, 2))  # (N, H, W, C) -> (N, C)
        return self.fc(self.dropout(x))
