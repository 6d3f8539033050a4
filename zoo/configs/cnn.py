"""Convolutional networks, from LeNet-5 to VGG and GoogLeNet.

LeCun et al. 1998; Simonyan and Zisserman 2014 (arXiv:1409.1556); Szegedy et al. 2014
(arXiv:1409.4842).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from ..errors import InputError
from ._base import IMAGE_ACTIVATIONS, IMAGE_NORMS, Config, Input
from ._work import Work, conv_work, linear_work


@dataclass(frozen=True, kw_only=True)
class CNNConfig(Config):
    """Everything that defines a plain convolutional network.

    Args:
        widths: channels of each block of convolution, norm, activation.
        kernel: height and width of every convolution's kernel.
        padded: how many blocks, from the first, keep height and width (zeros around
            the image); the others shrink it by kernel - 1.
        pools: how many blocks, from the first, end in a 2x2 pooling.
        pool: "max" or "avg".
        norm, groups: the norm after every convolution, the group norm's groups.
        activation: after every norm, and after every hidden linear layer.
        global_pool: average each channel over the image; else flatten.
        hidden: widths of the hidden linear layers.
        dropout: before every linear layer, in training.
        in_channels, num_classes: channels of the image, logits.
        image_size: height and width of the image; with `global_pool`, of the example
            inputs alone: then other sizes work too.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    kernel: int = 3
    padded: int = 3
    pools: int = 2
    pool: str = "max"
    norm: str = "none"
    groups: int = 8
    activation: str = "relu"
    global_pool: bool = False
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    in_channels: int = 1
    num_classes: int = 10
    image_size: int = 28

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "widths": ((4,), (4, 8), (4, 4, 8)),
        "kernel": (1, 3, 5),
        "padded": (0, 1, 2),
        "pools": (0, 1, 2),
        "pool": ("max", "avg"),
        "norm": IMAGE_NORMS,
        "groups": (2, 4),
        "activation": IMAGE_ACTIVATIONS,
        "global_pool": (False, True),
        "hidden": ((), (5,)),
        "in_channels": (1, 3),
        "num_classes": (1, 3),
        "image_size": (13, 16),
    }

    def validate(self) -> None:
        self._widths("widths")
        self._widths("hidden", least=0)
        self._positive("kernel", "groups", "in_channels", "num_classes", "image_size")
        self._integer("padded", "pools", least=0)
        self._choice("pool", ("max", "avg"))
        self._choice("norm", IMAGE_NORMS)
        self._choice("activation", IMAGE_ACTIVATIONS)
        self._flag("global_pool")
        self._fraction("dropout")
        if self.padded and self.kernel % 2 == 0:
            raise self._fail("kernel", "odd, so that padded blocks keep the size")
        if self.norm == "group" and any(w % self.groups for w in self.widths):
            raise self._fail("widths", f"divisible by groups={self.groups}")
        if self.shrunk(self.image_size) < 1:
            raise self._fail("image_size", "large enough for all blocks")

    def shrunk(self, size: int) -> int:
        """Return the height or width after all blocks, from that of the image."""
        for i in range(len(self.widths)):
            size -= 0 if i < self.padded else self.kernel - 1
            size //= 2 if i < self.pools else 1
        return size

    @property
    def features(self) -> int:
        """Input width of the first linear layer."""
        grid = 1 if self.global_pool else self.shrunk(self.image_size)
        return self.widths[-1] * grid**2

    @property
    def loss(self) -> str:
        return "bce" if self.num_classes == 1 else "cross_entropy"

    def inputs(self) -> tuple[Input, ...]:
        return (Input("image", (self.image_size, self.image_size, self.in_channels)),)

    def check_size(self, height: int | None, width: int | None) -> None:
        """Raise InputError for a size that does not fit; None is unknown."""
        size = self.image_size
        height, width = height or size, width or size
        if not self.global_pool and (height, width) != (size, size):
            raise InputError(
                f"this network flattens its features, so it needs images of"
                f" {size}x{size}; got {height}x{width}. Resize them, or set image_size."
            )
        if self.shrunk(min(height, width)) < 1:
            raise InputError(
                f"images of {height}x{width} are too small for this network's"
                " poolings; use larger ones."
            )

    def work(self) -> tuple[Work, ...]:
        works, size = [], self.image_size
        for i, (a, b) in enumerate(pairwise((self.in_channels, *self.widths))):
            size -= 0 if i < self.padded else self.kernel - 1
            name = f"convs.{i}"
            works.append(conv_work(name, a, b, self.kernel, size**2, first=i == 0))
            size //= 2 if i < self.pools else 1
        widths = (self.features, *self.hidden, self.num_classes)
        names = [f"linears.{i}" for i in range(len(self.hidden))] + ["head"]
        linears = (linear_work(n, a, b) for n, (a, b) in zip(names, pairwise(widths)))
        return (*works, *linears)

    def small(self) -> CNNConfig:
        size = 2
        for i in reversed(range(len(self.widths))):
            size = 2 * size + 1 if i < self.pools else size  # odd, at every pool
            size += 0 if i < self.padded else self.kernel - 1
        return self.override(
            widths=tuple(4 + 2 * i for i in range(len(self.widths))),
            groups=min(self.groups, 2),
            hidden=tuple(8 - i for i in range(len(self.hidden))),
            num_classes=min(self.num_classes, 5),
            image_size=size,
        )


@dataclass(frozen=True, kw_only=True)
class VGGConfig(Config):
    """Everything that defines a VGG network.

    Args:
        depths: 3x3 convolutions of each stage; every stage ends in a 2x2 max-pool.
        widths: channels of each stage.
        norm, groups: the norm after every convolution, the group norm's groups.
        grid: height and width of the features after average pooling.
        hidden: widths of the hidden linear layers.
        dropout: after each hidden linear layer, in training.
        in_channels, num_classes: channels of the image, logits.
        image_size: height and width of the example inputs; any size of at least
            2^stages works.
    """

    depths: tuple[int, ...] = (1, 1, 2, 2, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    norm: str = "none"
    groups: int = 8
    grid: int = 7
    hidden: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5
    in_channels: int = 3
    num_classes: int = 1000
    image_size: int = 224

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "depths": ((1, 1), (1, 2)),
        "widths": ((4, 4), (4, 6)),
        "norm": ("none", "batch"),
        "grid": (1, 2, 3),
        "hidden": ((), (5,)),
        "num_classes": (1, 3),
        "image_size": (8, 11),
    }

    def validate(self) -> None:
        self._widths("depths")
        self._widths("widths")
        self._widths("hidden", least=0)
        self._positive("groups", "grid", "in_channels", "num_classes", "image_size")
        self._choice("norm", IMAGE_NORMS)
        self._fraction("dropout")
        if len(self.depths) != len(self.widths):
            raise self._fail("depths", f"as many as widths={self.widths}")
        if self.norm == "group" and any(w % self.groups for w in self.widths):
            raise self._fail("widths", f"divisible by groups={self.groups}")
        if self.image_size < self.least_size:
            raise self._fail("image_size", f"at least {self.least_size}")

    @property
    def least_size(self) -> int:
        """Smallest height and width: every stage halves them."""
        return 2 ** len(self.depths)

    @property
    def loss(self) -> str:
        return "bce" if self.num_classes == 1 else "cross_entropy"

    def inputs(self) -> tuple[Input, ...]:
        return (Input("image", (self.image_size, self.image_size, self.in_channels)),)

    def check_size(self, height: int | None, width: int | None) -> None:
        """Raise InputError for an image that is too small; None is unknown."""
        least = self.least_size
        if (height or least) < least or (width or least) < least:
            raise InputError(
                f"VGG with {len(self.depths)} stages needs images of at least"
                f" {least}x{least}; got {height}x{width}."
            )

    def work(self) -> tuple[Work, ...]:
        works, c, size, slot = [], self.in_channels, self.image_size, 0
        for depth, width in zip(self.depths, self.widths):
            for _ in range(depth):
                name = f"features.{slot}"
                works.append(conv_work(name, c, width, 3, size**2, first=slot == 0))
                slot += 2 if self.norm == "none" else 3  # convolution, norm, ReLU
                c = width
            slot, size = slot + 1, size // 2  # the pool
        widths = (c * self.grid**2, *self.hidden, self.num_classes)
        for i, (a, b) in enumerate(pairwise(widths)):  # linear, ReLU, dropout
            works.append(linear_work(f"classifier.{3 * i}", a, b))
        return tuple(works)

    def small(self) -> VGGConfig:
        # 75 -> 37 -> 18 -> 9 -> 4 -> 2: odd sizes at the max-pools, and a 2x2 grid,
        # which average pooling must spread over 7x7.
        stages = range(len(self.widths))
        return self.override(
            depths=tuple(min(depth, 2) for depth in self.depths),
            widths=tuple(4 + 2 * (i // 2) for i in stages),
            groups=min(self.groups, 2),
            hidden=tuple(8 - i for i in range(len(self.hidden))),
            num_classes=min(self.num_classes, 5),
            image_size=75 * 2 ** len(stages) // 32,
        )


# Undoes ImageNet's mean and deviation, then maps [0, 1] to [-1, 1], per channel.
IMAGENET_SCALE = (0.458, 0.448, 0.45)
IMAGENET_SHIFT = (-0.03, -0.088, -0.188)

# Table 1 of the paper. Channels: in, 1x1 branch, 3x3 branch (reduced, out), 5x5 branch
# (reduced, out), pooling branch.
_INCEPTION = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


@dataclass(frozen=True, kw_only=True)
class GoogLeNetConfig(Config):
    """Everything that defines a GoogLeNet, with batch norm, as torchvision has it.

    Args:
        eighths: every layer's channels, in eighths of the published number: 8 is the
            paper's network, 4 half as wide.
        dropout: before the last linear layer, in training.
        transform_input: map images with ImageNet's usual normalisation to [-1, 1],
            as the weights in torchvision's file need it. For 3 channels.
        in_channels, num_classes: channels of the image, logits.
        image_size: height and width of the example inputs; any size of at least 15
            works.
    """

    eighths: int = 8
    dropout: float = 0.2
    transform_input: bool = False
    in_channels: int = 3
    num_classes: int = 1000
    image_size: int = 224

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "transform_input": (False, True),
        "num_classes": (1, 3),
        "image_size": (33, 48),
    }

    # The auxiliary heads are used in training only.
    ignored: ClassVar[tuple[str, ...]] = ("aux1.*", "aux2.*")

    def validate(self) -> None:
        self._positive("eighths", "in_channels", "num_classes", "image_size")
        self._fraction("dropout")
        self._flag("transform_input")
        if self.transform_input and self.in_channels != 3:
            raise self._fail("in_channels", "3 with transform_input")
        if self.image_size < 15:
            raise self._fail("image_size", "at least 15")

    def channels(self, published: int) -> int:
        """Return this network's channels for a published number of channels."""
        return published * self.eighths // 8

    def inception(self, name: str) -> tuple[int, ...]:
        """Return the seven channel numbers of a block, such as "3a"."""
        return tuple(self.channels(n) for n in _INCEPTION[name])

    @property
    def loss(self) -> str:
        return "bce" if self.num_classes == 1 else "cross_entropy"

    def inputs(self) -> tuple[Input, ...]:
        return (Input("image", (self.image_size, self.image_size, self.in_channels)),)

    def check_size(self, height: int | None, width: int | None) -> None:
        """Raise InputError for an image that is too small; None is unknown."""
        if (height or 15) < 15 or (width or 15) < 15:
            raise InputError(
                f"GoogLeNet needs images of at least 15x15; got {height}x{width}."
            )

    def work(self) -> tuple[Work, ...]:
        c = self.channels
        size = -(-self.image_size // 2)  # rounded up by the padded stride
        stem = conv_work("conv1.conv", self.in_channels, c(64), 7, size**2, first=True)
        size //= 2  # pools of 3x3 round down, the last, of 2x2, up
        works = [stem, conv_work("conv2.conv", c(64), c(64), 1, size**2)]
        works.append(conv_work("conv3.conv", c(64), c(192), 3, size**2))
        for name in _INCEPTION:
            if name in ("3a", "4a"):
                size //= 2
            elif name == "5a":
                size = -(-size // 2)
            c_in, c1, r3, c3, r5, c5, pooled = self.inception(name)
            for branch, a, b, kernel in (
                ("1", c_in, c1, 1), ("2.0", c_in, r3, 1), ("2.1", r3, c3, 3),
                ("3.0", c_in, r5, 1), ("3.1", r5, c5, 3), ("4.1", c_in, pooled, 1),
            ):  # fmt: skip
                layer = f"inception{name}.branch{branch}.conv"
                works.append(conv_work(layer, a, b, kernel, size**2))
        return (*works, linear_work("fc", c(1024), self.num_classes))

    def small(self) -> GoogLeNetConfig:
        # 49 -> 25 -> 12 -> 6 -> 3 -> 2: the pools get sizes for which ceil mode matters
        # and others for which it does not.
        return self.override(
            eighths=1, num_classes=min(self.num_classes, 5), image_size=49
        )


_DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}

PRESETS: dict[str, Config] = {
    "cnn": CNNConfig(norm="batch", global_pool=True),
    "mnist_cnn": CNNConfig(widths=(32, 64), padded=0, hidden=(64,)),
    "lenet5": CNNConfig(
        widths=(6, 16),
        kernel=5,
        padded=1,
        pool="avg",
        activation="tanh",
        hidden=(120, 84),
    ),
    **{name: VGGConfig(depths=depths) for name, depths in _DEPTHS.items()},
    **{
        f"{name}_bn": VGGConfig(depths=depths, norm="batch")
        for name, depths in _DEPTHS.items()
    },
    "googlenet": GoogLeNetConfig(),
}
