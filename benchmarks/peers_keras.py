"""Plain Keras models, as one writes them by hand from built-ins and defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers


def conv_bn(x: Any, width: int, kernel: int, stride: int = 1) -> Any:
    x = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def basic_block(x: Any, width: int, stride: int) -> Any:
    y = layers.ReLU()(conv_bn(x, width, 3, stride))
    y = conv_bn(y, width, 3)
    if stride > 1 or x.shape[-1] != width:
        x = conv_bn(x, width, 1, stride)
    return layers.ReLU()(layers.Add()([x, y]))


def bottleneck(x: Any, width: int, stride: int) -> Any:
    y = layers.ReLU()(conv_bn(x, width, 1))
    y = layers.ReLU()(conv_bn(y, width, 3, stride))
    y = conv_bn(y, 4 * width, 1)
    if stride > 1 or x.shape[-1] != 4 * width:
        x = conv_bn(x, 4 * width, 1, stride)
    return layers.ReLU()(layers.Add()([x, y]))


def resnet(block: Callable, depths: tuple[int, ...], size: int) -> keras.Model:
    image = keras.Input((size, size, 3))
    x = layers.ReLU()(conv_bn(image, 64, 7, 2))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            x = block(x, 64 * 2**stage, 2 if stage and i == 0 else 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(1000)(x))


def double_conv(x: Any, width: int) -> Any:
    x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    return layers.Conv2D(width, 3, padding="same", activation="relu")(x)


def unet(size: int) -> keras.Model:
    image = keras.Input((size, size, 3))
    a = double_conv(image, 64)
    b = double_conv(layers.MaxPooling2D()(a), 128)
    x = double_conv(layers.MaxPooling2D()(b), 256)
    x = layers.Conv2DTranspose(128, 2, strides=2)(x)
    x = double_conv(layers.Concatenate()([b, x]), 128)
    x = layers.Conv2DTranspose(64, 2, strides=2)(x)
    x = double_conv(layers.Concatenate()([a, x]), 64)
    return keras.Model(image, layers.Conv2D(1, 1)(x))


def sentiment_lstm(size: int) -> keras.Model:
    tokens = keras.Input((size,), dtype="int32")
    x = layers.Embedding(20_000, 128)(tokens)
    x = layers.Bidirectional(layers.LSTM(256, return_sequences=True))(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Bidirectional(layers.LSTM(256))(x)
    x = layers.Dropout(0.3)(x)
    return keras.Model(tokens, layers.Dense(1)(x))


class Positions(layers.Layer):
    """Puts a class token first and adds learned positions."""

    def build(self, shape: tuple[int, ...]) -> None:
        _, tokens, width = shape
        self.token = self.add_weight(shape=(1, 1, width), initializer="zeros")
        self.position = self.add_weight(
            shape=(1, tokens + 1, width), initializer="random_normal"
        )

    def call(self, x: Any) -> Any:
        batch, width = keras.ops.shape(x)[0], x.shape[-1]
        token = keras.ops.broadcast_to(self.token, (batch, 1, width))
        return keras.ops.concatenate([token, x], axis=1) + self.position


def vit(
    image_size: int = 32,
    patch: int = 4,
    width: int = 192,
    depth: int = 6,
    heads: int = 3,
    hidden: int = 768,
    classes: int = 10,
    dropout: float = 0.0,
) -> keras.Model:
    image = keras.Input((image_size, image_size, 3))
    x = layers.Conv2D(width, patch, strides=patch)(image)
    x = layers.Reshape((-1, width))(x)
    x = layers.Dropout(dropout)(Positions()(x))
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        y = layers.MultiHeadAttention(heads, width // heads)(y, y)
        x = layers.Add()([x, layers.Dropout(dropout)(y)])
        y = layers.LayerNormalization()(x)
        y = layers.Dense(hidden, activation="gelu")(y)
        y = layers.Dense(width)(layers.Dropout(dropout)(y))
        x = layers.Add()([x, layers.Dropout(dropout)(y)])
    x = layers.LayerNormalization()(x)
    return keras.Model(image, layers.Dense(classes)(x[:, 0]))


def applications_resnet50(size: int) -> keras.Model:
    return keras.applications.ResNet50(
        weights=None, input_shape=(size, size, 3), classifier_activation=None
    )


PEERS: dict[str, Callable[[int], keras.Model]] = {
    "resnet18": lambda size: resnet(basic_block, (2, 2, 2, 2), size),
    "resnet50": lambda size: resnet(bottleneck, (3, 4, 6, 3), size),
    "resnet50_v1": applications_resnet50,
    "unet": unet,
    "sentiment_lstm": sentiment_lstm,
    "vit": lambda size: vit(image_size=size),
}
