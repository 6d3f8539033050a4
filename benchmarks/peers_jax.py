"""Plain Flax NNX models, as one writes them by hand from built-ins and defaults."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jax import Array


class ConvBN(nnx.Module):
    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int = 1, *, rngs: nnx.Rngs
    ) -> None:
        self.conv = nnx.Conv(
            c_in, c_out, (kernel, kernel), stride, use_bias=False, rngs=rngs
        )
        self.bn = nnx.BatchNorm(c_out, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.bn(self.conv(x))


class BasicBlock(nnx.Module):
    expansion = 1

    def __init__(self, c_in: int, width: int, stride: int, *, rngs: nnx.Rngs) -> None:
        self.conv1 = ConvBN(c_in, width, 3, stride, rngs=rngs)
        self.conv2 = ConvBN(width, width, 3, rngs=rngs)
        self.project = stride > 1 or c_in != width
        if self.project:
            self.shortcut = ConvBN(c_in, width, 1, stride, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        y = nnx.relu(self.conv1(x))
        y = self.conv2(y)
        return nnx.relu(y + (self.shortcut(x) if self.project else x))


class Bottleneck(nnx.Module):
    expansion = 4

    def __init__(self, c_in: int, width: int, stride: int, *, rngs: nnx.Rngs) -> None:
        c_out = width * self.expansion
        self.conv1 = ConvBN(c_in, width, 1, rngs=rngs)
        self.conv2 = ConvBN(width, width, 3, stride, rngs=rngs)
        self.conv3 = ConvBN(width, c_out, 1, rngs=rngs)
        self.project = stride > 1 or c_in != c_out
        if self.project:
            self.shortcut = ConvBN(c_in, c_out, 1, stride, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        y = nnx.relu(self.conv1(x))
        y = nnx.relu(self.conv2(y))
        y = self.conv3(y)
        return nnx.relu(y + (self.shortcut(x) if self.project else x))


class ResNet(nnx.Module):
    def __init__(self, block: type, depths: tuple[int, ...], *, rngs: nnx.Rngs) -> None:
        self.stem = ConvBN(3, 64, 7, 2, rngs=rngs)
        blocks, channels = [], 64
        for stage, depth in enumerate(depths):
            width = 64 * 2**stage
            for i in range(depth):
                stride = 2 if stage and i == 0 else 1
                blocks.append(block(channels, width, stride, rngs=rngs))
                channels = width * block.expansion
        self.blocks = nnx.List(blocks)
        self.fc = nnx.Linear(channels, 1000, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(self.stem(x))
        x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean(axis=(1, 2)))


class DoubleConv(nnx.Module):
    def __init__(self, c_in: int, c_out: int, *, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(c_in, c_out, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(c_out, c_out, (3, 3), rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return nnx.relu(self.conv2(nnx.relu(self.conv1(x))))


class UNet(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.down1 = DoubleConv(3, 64, rngs=rngs)
        self.down2 = DoubleConv(64, 128, rngs=rngs)
        self.middle = DoubleConv(128, 256, rngs=rngs)
        self.up2 = nnx.ConvTranspose(256, 128, (2, 2), (2, 2), rngs=rngs)
        self.merge2 = DoubleConv(256, 128, rngs=rngs)
        self.up1 = nnx.ConvTranspose(128, 64, (2, 2), (2, 2), rngs=rngs)
        self.merge1 = DoubleConv(128, 64, rngs=rngs)
        self.head = nnx.Conv(64, 1, (1, 1), rngs=rngs)

    def __call__(self, x: Array) -> Array:
        a = self.down1(x)
        b = self.down2(nnx.max_pool(a, (2, 2), strides=(2, 2)))
        x = self.middle(nnx.max_pool(b, (2, 2), strides=(2, 2)))
        x = self.merge2(jnp.concatenate([b, self.up2(x)], axis=-1))
        x = self.merge1(jnp.concatenate([a, self.up1(x)], axis=-1))
        return self.head(x)


def bidirectional_lstm(c_in: int, width: int, rngs: nnx.Rngs) -> nnx.Bidirectional:
    return nnx.Bidirectional(
        nnx.RNN(nnx.OptimizedLSTMCell(c_in, width, rngs=rngs)),
        nnx.RNN(nnx.OptimizedLSTMCell(c_in, width, rngs=rngs)),
    )


class SentimentLSTM(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.embedding = nnx.Embed(20_000, 128, rngs=rngs)
        self.lstm1 = bidirectional_lstm(128, 256, rngs)
        self.lstm2 = bidirectional_lstm(512, 256, rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.fc = nnx.Linear(512, 1, rngs=rngs)

    def __call__(self, tokens: Array) -> Array:
        x = self.dropout(self.lstm1(self.embedding(tokens)))
        ((_, ahead), (_, back)), _ = self.lstm2(x, return_carry=True)
        return self.fc(self.dropout(jnp.concatenate([ahead, back], axis=-1)))


class EncoderBlock(nnx.Module):
    def __init__(
        self, width: int, heads: int, hidden: int, dropout: float, *, rngs: nnx.Rngs
    ) -> None:
        self.norm1 = nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.norm2 = nnx.LayerNorm(width, rngs=rngs)
        self.fc1 = nnx.Linear(width, hidden, rngs=rngs)
        self.fc2 = nnx.Linear(hidden, width, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = x + self.dropout(self.attention(self.norm1(x)))
        # Not the default: the tanh form is another, cheaper function than the twins'.
        y = self.dropout(nnx.gelu(self.fc1(self.norm2(x)), approximate=False))
        return x + self.dropout(self.fc2(y))


class ViT(nnx.Module):
    def __init__(
        self,
        image: int = 32,
        patch: int = 4,
        width: int = 192,
        depth: int = 6,
        heads: int = 3,
        hidden: int = 768,
        classes: int = 10,
        dropout: float = 0.0,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        tokens = (image // patch) ** 2
        size = (patch, patch)
        self.patches = nnx.Conv(3, width, size, strides=size, rngs=rngs)
        self.class_token = nnx.Param(jnp.zeros((1, 1, width)))
        self.position = nnx.Param(0.02 * rngs.params.normal((1, tokens + 1, width)))
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.blocks = nnx.List(
            EncoderBlock(width, heads, hidden, dropout, rngs=rngs) for _ in range(depth)
        )
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = self.patches(x)
        n, h, w, c = x.shape
        token = jnp.broadcast_to(self.class_token[...], (n, 1, c))
        x = jnp.concatenate([token, x.reshape(n, h * w, c)], axis=1)
        x = self.dropout(x + self.position[...])
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


PEERS: dict[str, Callable[[int], nnx.Module]] = {
    "resnet18": lambda size: ResNet(BasicBlock, (2, 2, 2, 2), rngs=nnx.Rngs(0)),
    "resnet50": lambda size: ResNet(Bottleneck, (3, 4, 6, 3), rngs=nnx.Rngs(0)),
    "unet": lambda size: UNet(rngs=nnx.Rngs(0)),
    "sentiment_lstm": lambda size: SentimentLSTM(rngs=nnx.Rngs(0)),
    "vit": lambda size: ViT(image=size, rngs=nnx.Rngs(0)),
}
