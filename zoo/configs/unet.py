"""U-Net: Ronneberger, Fischer and Brox 2015 (arXiv:1505.04597).

`unet_time` is conditioned on a time step, as the network of a diffusion model is
(Ho, Jain and Abbeel 2020, arXiv:2006.11239).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import InputError
from ._base import IMAGE_ACTIVATIONS, IMAGE_NORMS, Config, Init, Input
from ._work import Work, conv_work, linear_work


@dataclass(frozen=True, kw_only=True)
class UNetConfig(Config):
    """Everything that defines a U-Net.

    Args:
        widths: channels of each level, the bottleneck last; each level but the last
            is followed by a 2x2 max-pool.
        in_channels, num_classes: channels of the image and of the logits.
        norm: after every 3x3 convolution: none, batch, group or layer.
        groups: groups of the group norm.
        activation: after every norm.
        dropout: on the bottleneck, in training.
        time_width: width of the sinusoidal time embedding; 0 for no time input.
        image_size: height and width of the example inputs; any multiple of
            `divisor` works.
    """

    widths: tuple[int, ...] = (64, 128, 256)
    in_channels: int = 3
    num_classes: int = 1
    norm: str = "none"
    groups: int = 8
    activation: str = "relu"
    dropout: float = 0.0
    time_width: int = 0
    image_size: int = 64

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "widths": ((4, 8), (8, 4, 12), (4, 4, 4, 8)),
        "in_channels": (1, 3),
        "num_classes": (1, 3),
        "norm": IMAGE_NORMS,
        "groups": (2, 4),
        "activation": IMAGE_ACTIVATIONS,
        "time_width": (0, 6),
        "image_size": (8, 16, 24),
    }

    def validate(self) -> None:
        self._widths("widths", least=2)
        self._positive("in_channels", "num_classes", "groups", "image_size")
        self._choice("norm", IMAGE_NORMS)
        self._choice("activation", IMAGE_ACTIVATIONS)
        self._fraction("dropout")
        if type(self.time_width) is not int or self.time_width < 0:
            raise self._fail("time_width", "0 or a positive even integer")
        if self.time_width % 2:
            raise self._fail("time_width", "even (half sines, half cosines)")
        if self.norm == "group" and any(w % self.groups for w in self.widths):
            raise self._fail("widths", f"divisible by groups={self.groups}")
        if self.image_size % self.divisor:
            raise self._fail("image_size", f"divisible by {self.divisor}")

    @property
    def divisor(self) -> int:
        """The number that must divide height and width: 2 for each max-pool."""
        return 2 ** (len(self.widths) - 1)

    @property
    def loss(self) -> str:
        if self.time_width:
            return "mse"  # a diffusion model predicts the noise
        return "bce" if self.num_classes == 1 else "cross_entropy"

    def inputs(self) -> tuple[Input, ...]:
        image = Input("image", (self.image_size, self.image_size, self.in_channels))
        return (image, Input("time", (), "time")) if self.time_width else (image,)

    def check_size(self, height: int | None, width: int | None) -> None:
        """Raise InputError unless `divisor` divides both; None is unknown."""
        if (height or 0) % self.divisor or (width or 0) % self.divisor:
            raise InputError(
                f"U-Net with {len(self.widths)} levels needs height and width"
                f" divisible by {self.divisor}; got {height}x{width}."
                f" Pad or crop the image."
            )

    def init_rules(self) -> tuple[tuple[str, Init], ...]:
        return (("up.*.weight", Init(self.scheme, layout="io")),)

    def work(self) -> tuple[Work, ...]:
        works, width, size = [], self.time_width, self.image_size
        if width:  # the sines and cosines have no weights
            works.append(linear_work("embed.fc1", width, width, first=True))
            works.append(linear_work("embed.fc2", width, width))

        def double(name: str, a: int, b: int, *, first: bool = False) -> list[Work]:
            time = [linear_work(f"{name}.time", width, b)] if width else []
            one = conv_work(f"{name}.conv1", a, b, 3, size**2, first=first)
            return [one, *time, conv_work(f"{name}.conv2", b, b, 3, size**2)]

        *widths, c = self.widths
        for i, (a, b) in enumerate(zip((self.in_channels, *widths), widths)):
            works += double(f"down.{i}", a, b, first=i == 0)
            size //= 2
        works += double("middle", widths[-1], c)
        for i, b in enumerate(reversed(widths)):
            works.append(conv_work(f"up.{i}", c, b, 2, size**2))
            size, c = 2 * size, b
            works += double(f"merge.{i}", 2 * b, b)
        return (*works, conv_work("head", c, self.num_classes, 1, size**2))

    def small(self) -> UNetConfig:
        widths = tuple(8 * (i + 1) for i in range(len(self.widths)))
        return self.override(
            widths=widths,
            image_size=self.divisor * max(2, 12 // self.divisor),
            time_width=8 if self.time_width else 0,
        )


_ORIGINAL = UNetConfig(
    widths=(64, 128, 256, 512, 1024), in_channels=1, num_classes=2, image_size=128
)

PRESETS = {
    "unet": UNetConfig(),
    "unet_bn": UNetConfig(norm="batch"),
    "unet_original": _ORIGINAL,
    "unet_original_bn": _ORIGINAL.override(norm="batch"),
    "unet_time": UNetConfig(
        num_classes=3, norm="group", activation="silu", time_width=128
    ),
}
