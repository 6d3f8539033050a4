"""Attention (Vaswani et al. 2017, arXiv:1706.03762), and three networks made of it.

SelfAttentionNet: features (N, T, C) -> features (N, T, C).
TransformerEncoder: tokens (N, T), with an optional mask (N, T), True for real tokens
-> logits (N, num_classes).
GPT (Radford et al. 2019): tokens (N, T) -> logits (N, T, vocabulary).
ViT (Dosovitskiy et al. 2020, arXiv:2010.11929): image (N, H, W, C) -> logits
(N, num_classes).
"""

from __future__ import annotations

import math
from typing import Any

from keras import initializers, layers, ops

from ..configs.attention import (
    GPTConfig,
    SelfAttentionNetConfig,
    TransformerEncoderConfig,
    ViTConfig,
)
from ..spec.positions import sinusoid_table
from ._layers import Model, activation, layer_norm, vector_norm

VIT_EPS = 1e-6  # of ViT's norms, in torchvision as in the paper's code


def attend(
    qkv: Any,
    heads: int,
    dropout: layers.Dropout,
    keep: Any = None,
    causal: bool = False,
) -> Any:
    """Scaled dot-product attention of packed queries, keys and values.

    Maps (N, T, 3C) to (N, T, C). `keep` (N, T) is True where a token may be attended
    to, at least once per row. With `causal` it must be None.
    """
    length, size = ops.shape(qkv)[1], qkv.shape[2] // (3 * heads)
    # § split heads
    q, k, v = (ops.reshape(x, (-1, length, heads, size)) for x in ops.split(qkv, 3, 2))
    q = ops.transpose(q, (0, 2, 1, 3))  # (N, H, T, C/H)
    k = ops.transpose(k, (0, 2, 3, 1))  # (N, H, C/H, T)
    v = ops.transpose(v, (0, 2, 1, 3))  # (N, H, T, C/H)
    # § attend
    # ops.dot_product_attention rounds its scale to float32.
    scores = ops.matmul(q * size**-0.5, k)  # (N, H, T, T)
    if keep is not None:
        seen = keep[:, None, None]  # (N, 1, 1, T)
        scores = ops.where(seen, scores, -math.inf)
    if causal:
        steps = ops.arange(length)
        seen = steps[:, None] >= steps  # (T, T)
        scores = ops.where(seen, scores, -math.inf)
    weights = dropout(ops.softmax(scores, axis=-1))
    x = ops.matmul(weights, v)  # (N, H, T, C/H)
    # § merge heads
    x = ops.transpose(x, (0, 2, 1, 3))  # (N, T, H, C/H)
    return ops.reshape(x, (-1, length, heads * size))  # (N, T, C)


# Inside the model the mask is called `keep`: an argument named `mask` would get masks
# that Keras itself attaches to tensors.


class SelfAttention(layers.Layer):
    """Multi-head self-attention, with the parameters of nn.MultiheadAttention."""

    def __init__(
        self, width: int, heads: int, dropout: float, causal: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.in_proj_weight = self.add_weight(
            shape=(3 * width, width),
            initializer="glorot_uniform",
            name="in_proj_weight",
        )
        self.in_proj_bias = self.add_weight(
            shape=(3 * width,), initializer="zeros", name="in_proj_bias"
        )
        self.out_proj = layers.Dense(width)
        self.dropout = layers.Dropout(dropout)

    def call(self, x: Any, keep: Any = None) -> Any:
        # § project
        weight = ops.transpose(self.in_proj_weight)
        qkv = ops.matmul(x, weight) + self.in_proj_bias  # (N, T, 3C)
        x = attend(qkv, self.heads, self.dropout, keep, self.causal)
        # § project back
        return self.out_proj(x)


class SelfAttentionNet(Model):
    """One multi-head self-attention."""

    def __init__(self, config: SelfAttentionNetConfig) -> None:
        super().__init__(config)
        self.attention = SelfAttention(
            config.d_model, config.heads, config.dropout, config.causal
        )

    def call(self, features: Any) -> Any:
        return self.attention(features)


class EncoderLayer(layers.Layer):
    """Attention, then two linear layers; named as in nn.TransformerEncoderLayer."""

    def __init__(self, config: TransformerEncoderConfig) -> None:
        super().__init__()
        width = config.d_model
        self.norm_first = config.norm_first
        self.self_attn = SelfAttention(width, config.heads, config.dropout)
        self.linear1 = layers.Dense(config.d_ff)
        self.linear2 = layers.Dense(width)
        self.norm1 = vector_norm(config.norm, width)
        self.norm2 = vector_norm(config.norm, width)
        self.act = activation(config.activation)
        self.dropout = layers.Dropout(config.dropout)

    def call(self, x: Any, keep: Any = None) -> Any:
        if self.norm_first:
            x = x + self.mix(self.norm1(x), keep)
            return x + self.feed(self.norm2(x))
        x = self.norm1(x + self.mix(x, keep))
        return self.norm2(x + self.feed(x))

    def mix(self, x: Any, keep: Any) -> Any:
        # § mix tokens
        return self.dropout(self.self_attn(x, keep))

    def feed(self, x: Any) -> Any:
        # § feed forward
        x = self.dropout(self.act(self.linear1(x)))  # (N, T, d_ff)
        return self.dropout(self.linear2(x))


class TransformerEncoder(Model):
    """Embedding with positions, encoder layers, pooling, linear head."""

    def __init__(self, config: TransformerEncoderConfig) -> None:
        super().__init__(config)
        width = config.d_model
        self.embedding = layers.Embedding(config.vocabulary, width)
        if config.positions == "learned":
            self.position = layers.Embedding(config.context, width)
        else:
            self.sinusoids = sinusoid_table(config.context, width)
        self.dropout = layers.Dropout(config.dropout)
        self.blocks = [EncoderLayer(config) for _ in range(config.layers)]
        # After the last sum. Layers that normalise their sums need none.
        last = config.norm if config.norm_first else "none"
        self.norm = vector_norm(last, width)
        self.fc = layers.Dense(config.num_classes)
        self.supports_masking = True

    def compute_mask(self, tokens: Any, mask: Any = None) -> None:
        """Return no mask: the logits have no time axis."""

    def call(self, tokens: Any, mask: Any = None) -> Any:
        config, length = self.config, ops.shape(tokens)[1]
        config.check_length(tokens.shape[1])
        # § embed
        x = self.embedding(tokens)  # (N, T) -> (N, T, C)
        if config.positions == "learned":
            steps = ops.arange(length)
            x = x + self.position(steps)
        else:
            table = ops.convert_to_tensor(self.sinusoids, dtype=x.dtype)
            x = x * math.sqrt(config.d_model) + table[:length]
        x = self.dropout(x)
        # § encode
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        # § pool
        if config.pooling == "first":
            x = x[:, 0]  # (N, C)
        elif mask is None:
            x = ops.mean(x, 1)  # (N, C)
        else:
            real = ops.cast(mask[:, :, None], x.dtype)  # (N, T, 1)
            x = ops.sum(x * real, 1) / ops.sum(real, 1)  # (N, C)
        # § head
        return self.fc(x)


class Conv1D(layers.Layer):
    """GPT-2's linear layer: the weight is (in, out), as in the public file."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        normal = initializers.RandomNormal(stddev=0.02)
        self.weight = self.add_weight(
            shape=(c_in, c_out), initializer=normal, name="weight"
        )
        self.bias = self.add_weight(shape=(c_out,), initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        return ops.matmul(x, self.weight) + self.bias


class CausalAttention(layers.Layer):
    """Self-attention to the position itself and those before it."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        width = config.d_model
        self.heads = config.heads
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)
        self.dropout = layers.Dropout(config.dropout)

    def call(self, x: Any) -> Any:
        # § project
        qkv = self.c_attn(x)  # (N, T, 3C)
        x = attend(qkv, self.heads, self.dropout, causal=True)
        # § project back
        return self.dropout(self.c_proj(x))


class FeedForward(layers.Layer):
    """Two linear layers with an activation between."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = Conv1D(config.d_model, config.d_ff)
        self.c_proj = Conv1D(config.d_ff, config.d_model)
        self.act = activation(config.activation)
        self.dropout = layers.Dropout(config.dropout)

    def call(self, x: Any) -> Any:
        x = self.act(self.c_fc(x))  # (N, T, d_ff)
        return self.dropout(self.c_proj(x))


class DecoderBlock(layers.Layer):
    """GPT-2's block: norm first, then attention or network, then the sum."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.ln_1 = vector_norm(config.norm, config.d_model)
        self.attn = CausalAttention(config)
        self.ln_2 = vector_norm(config.norm, config.d_model)
        self.mlp = FeedForward(config)

    def call(self, x: Any) -> Any:
        # § mix tokens
        x = x + self.attn(self.ln_1(x))
        # § feed forward
        return x + self.mlp(self.ln_2(x))


class GPT(Model):
    """Token and position embeddings, decoder blocks, a head tied to the tokens."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__(config)
        self.wte = layers.Embedding(config.vocabulary, config.d_model)
        self.wpe = layers.Embedding(config.context, config.d_model)
        self.dropout = layers.Dropout(config.dropout)
        self.h = [DecoderBlock(config) for _ in range(config.layers)]
        self.ln_f = vector_norm(config.norm, config.d_model)

    def call(self, tokens: Any) -> Any:
        length = ops.shape(tokens)[1]
        self.config.check_length(tokens.shape[1])
        # § embed
        steps = ops.arange(length)
        x = self.wte(tokens) + self.wpe(steps)  # (N, T, C)
        x = self.dropout(x)
        # § decode
        for block in self.h:
            x = block(x)
        x = self.ln_f(x)
        # § head
        words = ops.transpose(self.wte.embeddings)
        return ops.matmul(x, words)  # (N, T, vocabulary)


class VisionBlock(layers.Layer):
    """ViT's block: norm first, then attention or network, then the sum."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        width, d_ff = config.d_model, config.d_ff
        self.ln_1 = layer_norm(VIT_EPS)
        self.self_attention = SelfAttention(width, config.heads, config.dropout)
        self.dropout = layers.Dropout(config.dropout)
        self.ln_2 = layer_norm(VIT_EPS)
        self.mlp = [
            layers.Dense(d_ff),
            activation(config.activation),
            layers.Dropout(config.dropout),
            layers.Dense(width),
            layers.Dropout(config.dropout),
        ]

    def call(self, x: Any) -> Any:
        # § mix tokens
        x = x + self.dropout(self.self_attention(self.ln_1(x)))
        # § feed forward
        y = self.ln_2(x)
        for layer in self.mlp:
            y = layer(y)
        return x + y


class VisionEncoder(layers.Layer):
    """Learned positions, blocks, a last norm."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.pos_embedding = self.add_weight(
            shape=(1, config.patches + 1, config.d_model),
            initializer=initializers.RandomNormal(stddev=0.02),
            name="pos_embedding",
        )
        self.dropout = layers.Dropout(config.dropout)
        self.layers = {
            f"encoder_layer_{i}": VisionBlock(config) for i in range(config.layers)
        }
        self.ln = layer_norm(VIT_EPS)

    def call(self, x: Any) -> Any:
        x = self.dropout(x + self.pos_embedding)
        for block in self.layers.values():
            x = block(x)
        return self.ln(x)


class ViT(Model):
    """Patches, a class token in front of them, encoder, linear head."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        width, patch = config.d_model, config.patch_size
        self.conv_proj = layers.Conv2D(width, patch, strides=patch, padding="valid")
        self.class_token = self.add_weight(
            shape=(1, 1, width), initializer="zeros", name="class_token"
        )
        self.encoder = VisionEncoder(config)
        self.heads = {"head": layers.Dense(config.num_classes)}

    def call(self, image: Any) -> Any:
        config = self.config
        config.check_size(image.shape[1], image.shape[2])
        # § patches
        x = self.conv_proj(image)  # (N, H/p, W/p, C)
        x = ops.reshape(x, (-1, config.patches, config.d_model))  # (N, T, C)
        # § class token
        token = ops.zeros_like(x[:, :1]) + self.class_token
        x = ops.concatenate((token, x), 1)  # (N, T + 1, C)
        # § encode
        x = self.encoder(x)
        # § head
        return self.heads["head"](x[:, 0])
