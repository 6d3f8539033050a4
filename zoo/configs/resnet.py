"""Residual networks: He, Zhang, Ren and Sun 2015 (arXiv:1512.03385).

`_v2` is the pre-activation form (He et al. 2016, arXiv:1603.05027); `plain` has the
same layers without the shortcuts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ._base import IMAGE_ACTIVATIONS, IMAGE_NORMS, Config, Init, Input
from ._work import Work, conv_work, linear_work


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(Config):
    """Everything that defines a residual network.

    Args:
        block: "basic" (3x3, 3x3) or "bottleneck" (1x1, 3x3, 1x1 to 4 x width).
        depths: blocks of each stage.
        widths: channels of each stage; the stem has the first stage's. Every stage
            but the first halves height and width.
        stem: "imagenet" (7x7 with stride 2, 3x3 max-pool with stride 2) or "cifar"
            (3x3 with stride 1).
        preactivation: norm and activation before each convolution, not after (v2).
        shortcut: where the shape changes, a strided 1x1 "projection", or "pad"
            (subsampling and zero channels: no parameters); elsewhere the identity.
            "none" leaves out every shortcut: a plain network.
        stride_in_1x1: a bottleneck strides in its first 1x1, as in 2015 and in
            keras.applications, not in its 3x3, as torchvision does ("v1.5").
        conv_bias: biases in the convolutions, superfluous before a norm.
        zero_init: start each residual branch at zero, so that at first only the
            shortcuts act (Goyal et al. 2017, arXiv:1706.02677).
        norm, groups, bn_eps: the norm, the group norm's groups, batch norm's epsilon.
        activation: after every norm.
        dropout: before the last linear layer, in training.
        in_channels, num_classes: channels of the image, logits.
        image_size: height and width of the example inputs; any size works.
    """

    block: str = "basic"
    depths: tuple[int, ...] = (2, 2, 2, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    stem: str = "imagenet"
    preactivation: bool = False
    shortcut: str = "projection"
    stride_in_1x1: bool = False
    conv_bias: bool = False
    zero_init: bool = False
    norm: str = "batch"
    groups: int = 8
    bn_eps: float = 1e-5
    activation: str = "relu"
    dropout: float = 0.0
    in_channels: int = 3
    num_classes: int = 1000
    image_size: int = 224

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "block": ("basic", "bottleneck"),
        "depths": ((1, 1, 1), (2, 1, 2)),
        "widths": ((4, 4, 8), (4, 8, 12)),
        "stem": ("imagenet", "cifar"),
        "preactivation": (False, True),
        "shortcut": ("projection", "pad", "none"),
        "stride_in_1x1": (False, True),
        "conv_bias": (False, True),
        "zero_init": (False, True),
        "norm": IMAGE_NORMS,
        "groups": (2, 4),
        "bn_eps": (1e-5, 1e-3),
        "activation": IMAGE_ACTIVATIONS,
        "in_channels": (1, 3),
        "num_classes": (1, 3),
        "image_size": (17, 20),
    }

    def validate(self) -> None:
        self._choice("block", ("basic", "bottleneck"))
        self._choice("stem", ("imagenet", "cifar"))
        self._choice("shortcut", ("projection", "pad", "none"))
        self._widths("depths")
        self._widths("widths")
        self._positive("in_channels", "num_classes", "groups", "image_size")
        self._flag("preactivation", "stride_in_1x1", "conv_bias", "zero_init")
        self._choice("norm", IMAGE_NORMS)
        self._choice("activation", IMAGE_ACTIVATIONS)
        self._fraction("dropout", "bn_eps")
        if len(self.depths) != len(self.widths):
            raise self._fail("depths", f"as many as widths={self.widths}")
        if self.norm == "group" and any(w % self.groups for w in self.widths):
            raise self._fail("widths", f"divisible by groups={self.groups}")
        if self.shortcut == "pad" and list(self.widths) != sorted(self.widths):
            raise self._fail("widths", "non-decreasing for shortcut='pad'")

    @property
    def loss(self) -> str:
        return "bce" if self.num_classes == 1 else "cross_entropy"

    @property
    def expansion(self) -> int:
        """Output channels of a block, as a multiple of its width."""
        return 4 if self.block == "bottleneck" else 1

    def stages(self) -> list[list[tuple[int, int, int]]]:
        """Return (channels in, width, stride) of every block, stage by stage."""
        stages, c_in = [], self.widths[0]
        for i, (depth, width) in enumerate(zip(self.depths, self.widths)):
            c_out = width * self.expansion
            first = (c_in, width, 2 if i else 1)
            stages.append([first] + [(c_out, width, 1)] * (depth - 1))
            c_in = c_out
        return stages

    def inputs(self) -> tuple[Input, ...]:
        return (Input("image", (self.image_size, self.image_size, self.in_channels)),)

    def init_rules(self) -> tuple[tuple[str, Init], ...]:
        if not self.zero_init:
            return ()
        ends_in_conv = self.preactivation or self.norm == "none"
        last = "conv" if ends_in_conv else "bn"
        last += "3" if self.block == "bottleneck" else "2"
        return ((f"layer*.{last}.weight", Init("constant", 0.0)),)

    def work(self) -> tuple[Work, ...]:
        c_in, size = self.in_channels, self.image_size
        kernel, stride = (7, 2) if self.stem == "imagenet" else (3, 1)
        size = -(-size // stride)  # rounded up, as every padded stride here
        works = [conv_work("conv1", c_in, self.widths[0], kernel, size**2, first=True)]
        size = -(-size // stride)  # the stem's pool
        for i, stage in enumerate(self.stages(), 1):
            for j, (c_in, width, stride) in enumerate(stage):
                works += self._block_work(f"layer{i}.{j}", c_in, width, stride, size)
                size = -(-size // stride)
        last = self.widths[-1] * self.expansion
        return (*works, linear_work("fc", last, self.num_classes))

    def _block_work(
        self, name: str, c_in: int, width: int, stride: int, size: int
    ) -> list[Work]:
        c_out, small = width * self.expansion, -(-size // stride)
        if self.block == "basic":
            shapes = [(c_in, width, 3, small), (width, width, 3, small)]
        else:
            middle = small if self.stride_in_1x1 else size
            shapes = [(c_in, width, 1, middle), (width, width, 3, small)]
            shapes.append((width, c_out, 1, small))
        works = [
            conv_work(f"{name}.conv{i}", a, b, kernel, after**2)
            for i, (a, b, kernel, after) in enumerate(shapes, 1)
        ]
        if self.shortcut == "projection" and (stride > 1 or c_in != c_out):
            works.append(conv_work(f"{name}.downsample.0", c_in, c_out, 1, small**2))
        return works

    def small(self) -> ResNetConfig:
        # The sizes 40, 20, 10, 5, 3 and 18, 9, 5 give every kind of strided layer an
        # even input, where "same" padding is not PyTorch's, and an odd one.
        return self.override(
            depths=tuple(min(depth, 2) for depth in self.depths),
            widths=tuple(4 * (i + 1) for i in range(len(self.widths))),
            groups=min(self.groups, 2),
            num_classes=min(self.num_classes, 10),
            image_size=40 if self.stem == "imagenet" else 18,
        )


def _cifar(depth: int, shortcut: str = "pad") -> ResNetConfig:
    """Return a network of 6n + 2 layers for 32x32 images: section 4.2 of the paper."""
    return ResNetConfig(
        depths=((depth - 2) // 6,) * 3,
        widths=(16, 32, 64),
        stem="cifar",
        shortcut=shortcut,
        num_classes=10,
        image_size=32,
    )


_IMAGENET = {
    "resnet18": ResNetConfig(depths=(2, 2, 2, 2)),
    "resnet34": ResNetConfig(depths=(3, 4, 6, 3)),
    "resnet50": ResNetConfig(block="bottleneck", depths=(3, 4, 6, 3)),
    "resnet101": ResNetConfig(block="bottleneck", depths=(3, 4, 23, 3)),
    "resnet152": ResNetConfig(block="bottleneck", depths=(3, 8, 36, 3)),
}

PRESETS = {
    "simple_resnet": ResNetConfig(
        depths=(3,), widths=(64,), num_classes=10, image_size=64
    ),
    **_IMAGENET,
    # keras.applications.ResNet50
    "resnet50_v1": _IMAGENET["resnet50"].override(
        stride_in_1x1=True, conv_bias=True, bn_eps=1.001e-5
    ),
    **{f"{k}_v2": v.override(preactivation=True) for k, v in _IMAGENET.items()},
    **{f"resnet{depth}": _cifar(depth) for depth in (20, 32, 44, 56, 110)},
    **{f"plain{depth}": _cifar(depth, shortcut="none") for depth in (20, 56)},
}
