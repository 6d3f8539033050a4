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

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from ..configs.attention import (
    GPTConfig,
    SelfAttentionNetConfig,
    TransformerEncoderConfig,
    ViTConfig,
)
from ..spec.positions import sinusoid_table
from ._layers import PatchConv, activation, layer_norm, vector_norm

VIT_EPS = 1e-6  # of ViT's norms, in torchvision as in the paper's code


def attend(
    qkv: Array,
    heads: int,
    dropout: nnx.Dropout,
    keep: Array | None = None,
    causal: bool = False,
) -> Array:
    """Scaled dot-product attention of packed queries, keys and values.

    Maps (N, T, 3C) to (N, T, C). `keep` (N, T) is True where a token may be attended
    to, at least once per row. With `causal` it must be None.
    """
    n, length, width = qkv.shape
    # § split heads
    q, k, v = (x.reshape(n, length, heads, -1) for x in jnp.split(qkv, 3, 2))
    q = q.transpose(0, 2, 1, 3)  # (N, H, T, C/H)
    k = k.transpose(0, 2, 3, 1)  # (N, H, C/H, T)
    v = v.transpose(0, 2, 1, 3)  # (N, H, T, C/H)
    # § attend
    # jax.nn.dot_product_attention computes its softmax in float32.
    scores = (q * q.shape[3] ** -0.5) @ k  # (N, H, T, T)
    if keep is not None:
        seen = keep[:, None, None]  # (N, 1, 1, T)
        scores = jnp.where(seen, scores, -jnp.inf)
    if causal:
        steps = jnp.arange(length)
        seen = steps[:, None] >= steps  # (T, T)
        scores = jnp.where(seen, scores, -jnp.inf)
    weights = dropout(jax.nn.softmax(scores, axis=-1))
    x = weights @ v  # (N, H, T, C/H)
    # § merge heads
    x = x.transpose(0, 2, 1, 3)  # (N, T, H, C/H)
    return x.reshape(n, length, width // 3)  # (N, T, C)


class SelfAttention(nnx.Module):
    """Multi-head self-attention, with the parameters of nn.MultiheadAttention."""

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        causal: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.heads = heads
        self.causal = causal
        xavier = nnx.initializers.xavier_uniform()
        weight = xavier(rngs.params(), (3 * width, width), jnp.float32)
        self.in_proj_weight = nnx.Param(weight)
        self.in_proj_bias = nnx.Param(jnp.zeros((3 * width,), jnp.float32))
        self.out_proj = nnx.Linear(width, width, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)

    def __call__(self, x: Array, keep: Array | None = None) -> Array:
        # § project
        weight = self.in_proj_weight[...].astype(x.dtype)
        bias = self.in_proj_bias[...].astype(x.dtype)
        qkv = x @ weight.T + bias  # (N, T, 3C)
        x = attend(qkv, self.heads, self.dropout, keep, self.causal)
        # § project back
        return self.out_proj(x)


class SelfAttentionNet(nnx.Module):
    """One multi-head self-attention."""

    def __init__(self, config: SelfAttentionNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.attention = SelfAttention(
            config.d_model, config.heads, config.dropout, config.causal, rngs=rngs
        )

    def __call__(self, features: Array) -> Array:
        return self.attention(features)


class EncoderLayer(nnx.Module):
    """Attention, then two linear layers; named as in nn.TransformerEncoderLayer."""

    def __init__(self, config: TransformerEncoderConfig, *, rngs: nnx.Rngs) -> None:
        width = config.d_model
        self.norm_first = config.norm_first
        self.self_attn = SelfAttention(width, config.heads, config.dropout, rngs=rngs)
        self.linear1 = nnx.Linear(width, config.d_ff, rngs=rngs)
        self.linear2 = nnx.Linear(config.d_ff, width, rngs=rngs)
        self.norm1 = vector_norm(config.norm, width, rngs=rngs)
        self.norm2 = vector_norm(config.norm, width, rngs=rngs)
        self.act = activation(config.activation)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)

    def __call__(self, x: Array, keep: Array | None = None) -> Array:
        if self.norm_first:
            x = x + self.mix(self.norm1(x), keep)
            return x + self.feed(self.norm2(x))
        x = self.norm1(x + self.mix(x, keep))
        return self.norm2(x + self.feed(x))

    def mix(self, x: Array, keep: Array | None) -> Array:
        # § mix tokens
        return self.dropout(self.self_attn(x, keep))

    def feed(self, x: Array) -> Array:
        # § feed forward
        x = self.dropout(self.act(self.linear1(x)))  # (N, T, d_ff)
        return self.dropout(self.linear2(x))


class TransformerEncoder(nnx.Module):
    """Embedding with positions, encoder layers, pooling, linear head."""

    def __init__(self, config: TransformerEncoderConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        width = config.d_model
        self.embedding = nnx.Embed(config.vocabulary, width, rngs=rngs)
        if config.positions == "learned":
            self.position = nnx.Embed(config.context, width, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.blocks = nnx.List(
            EncoderLayer(config, rngs=rngs) for _ in range(config.layers)
        )
        # After the last sum. Layers that normalise their sums need none.
        last = config.norm if config.norm_first else "none"
        self.norm = vector_norm(last, width, rngs=rngs)
        self.fc = nnx.Linear(width, config.num_classes, rngs=rngs)

    def __call__(self, tokens: Array, mask: Array | None = None) -> Array:
        config, length = self.config, tokens.shape[1]
        config.check_length(length)
        # § embed
        x = self.embedding(tokens)  # (N, T) -> (N, T, C)
        if config.positions == "learned":
            steps = jnp.arange(length)
            x = x + self.position(steps)
        else:
            table = sinusoid_table(length, config.d_model)
            x = x * math.sqrt(config.d_model) + jnp.asarray(table, x.dtype)
        x = self.dropout(x)
        # § encode
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        # § pool
        if config.pooling == "first":
            x = x[:, 0]  # (N, C)
        elif mask is None:
            x = x.mean(1)  # (N, C)
        else:
            real = mask[:, :, None].astype(x.dtype)  # (N, T, 1)
            x = (x * real).sum(1) / real.sum(1)  # (N, C)
        # § head
        return self.fc(x)


class Conv1D(nnx.Module):
    """GPT-2's linear layer: the weight is (in, out), as in the public file."""

    def __init__(self, c_in: int, c_out: int, *, rngs: nnx.Rngs) -> None:
        normal = nnx.initializers.normal(0.02)
        self.weight = nnx.Param(normal(rngs.params(), (c_in, c_out), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((c_out,), jnp.float32))

    def __call__(self, x: Array) -> Array:
        weight = self.weight[...].astype(x.dtype)
        return x @ weight + self.bias[...].astype(x.dtype)


class CausalAttention(nnx.Module):
    """Self-attention to the position itself and those before it."""

    def __init__(self, config: GPTConfig, *, rngs: nnx.Rngs) -> None:
        width = config.d_model
        self.heads = config.heads
        self.c_attn = Conv1D(width, 3 * width, rngs=rngs)
        self.c_proj = Conv1D(width, width, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        # § project
        qkv = self.c_attn(x)  # (N, T, 3C)
        x = attend(qkv, self.heads, self.dropout, causal=True)
        # § project back
        return self.dropout(self.c_proj(x))


class FeedForward(nnx.Module):
    """Two linear layers with an activation between."""

    def __init__(self, config: GPTConfig, *, rngs: nnx.Rngs) -> None:
        self.c_fc = Conv1D(config.d_model, config.d_ff, rngs=rngs)
        self.c_proj = Conv1D(config.d_ff, config.d_model, rngs=rngs)
        self.act = activation(config.activation)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = self.act(self.c_fc(x))  # (N, T, d_ff)
        return self.dropout(self.c_proj(x))


class DecoderBlock(nnx.Module):
    """GPT-2's block: norm first, then attention or network, then the sum."""

    def __init__(self, config: GPTConfig, *, rngs: nnx.Rngs) -> None:
        self.ln_1 = vector_norm(config.norm, config.d_model, rngs=rngs)
        self.attn = CausalAttention(config, rngs=rngs)
        self.ln_2 = vector_norm(config.norm, config.d_model, rngs=rngs)
        self.mlp = FeedForward(config, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        # § mix tokens
        x = x + self.attn(self.ln_1(x))
        # § feed forward
        return x + self.mlp(self.ln_2(x))


class GPT(nnx.Module):
    """Token and position embeddings, decoder blocks, a head tied to the tokens."""

    def __init__(self, config: GPTConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.wte = nnx.Embed(config.vocabulary, config.d_model, rngs=rngs)
        self.wpe = nnx.Embed(config.context, config.d_model, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.h = nnx.List(DecoderBlock(config, rngs=rngs) for _ in range(config.layers))
        self.ln_f = vector_norm(config.norm, config.d_model, rngs=rngs)

    def __call__(self, tokens: Array) -> Array:
        length = tokens.shape[1]
        self.config.check_length(length)
        # § embed
        steps = jnp.arange(length)
        x = self.wte(tokens) + self.wpe(steps)  # (N, T, C)
        x = self.dropout(x)
        # § decode
        for block in self.h:
            x = block(x)
        x = self.ln_f(x)
        # § head
        return self.wte.attend(x)  # (N, T, vocabulary)


class VisionBlock(nnx.Module):
    """ViT's block: norm first, then attention or network, then the sum."""

    def __init__(self, config: ViTConfig, *, rngs: nnx.Rngs) -> None:
        width, d_ff = config.d_model, config.d_ff
        self.ln_1 = layer_norm(width, VIT_EPS, rngs=rngs)
        self.self_attention = SelfAttention(
            width, config.heads, config.dropout, rngs=rngs
        )
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.ln_2 = layer_norm(width, VIT_EPS, rngs=rngs)
        self.mlp = nnx.Sequential(
            nnx.Linear(width, d_ff, rngs=rngs),
            activation(config.activation),
            nnx.Dropout(config.dropout, rngs=rngs),
            nnx.Linear(d_ff, width, rngs=rngs),
            nnx.Dropout(config.dropout, rngs=rngs),
        )

    def __call__(self, x: Array) -> Array:
        # § mix tokens
        x = x + self.dropout(self.self_attention(self.ln_1(x)))
        # § feed forward
        return x + self.mlp(self.ln_2(x))


class VisionEncoder(nnx.Module):
    """Learned positions, blocks, a last norm."""

    def __init__(self, config: ViTConfig, *, rngs: nnx.Rngs) -> None:
        width = config.d_model
        normal = nnx.initializers.normal(0.02)
        shape = (1, config.patches + 1, width)
        self.pos_embedding = nnx.Param(normal(rngs.params(), shape, jnp.float32))
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.layers = nnx.Dict(
            {
                f"encoder_layer_{i}": VisionBlock(config, rngs=rngs)
                for i in range(config.layers)
            }
        )
        self.ln = layer_norm(width, VIT_EPS, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = self.dropout(x + self.pos_embedding[...].astype(x.dtype))
        # By key, as split, merge and jit sort the dict: layer_10 before layer_2.
        for i in range(len(self.layers)):
            x = self.layers[f"encoder_layer_{i}"](x)
        return self.ln(x)


class ViT(nnx.Module):
    """Patches, a class token in front of them, encoder, linear head."""

    def __init__(self, config: ViTConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        width, patch = config.d_model, config.patch_size
        self.conv_proj = PatchConv(config.in_channels, width, patch, rngs=rngs)
        self.class_token = nnx.Param(jnp.zeros((1, 1, width), jnp.float32))
        self.encoder = VisionEncoder(config, rngs=rngs)
        self.heads = nnx.Dict(head=nnx.Linear(width, config.num_classes, rngs=rngs))

    def __call__(self, image: Array) -> Array:
        self.config.check_size(image.shape[1], image.shape[2])
        # § patches
        x = self.conv_proj(image)  # (N, H/p, W/p, C)
        x = x.reshape(x.shape[0], -1, x.shape[3])  # (N, T, C)
        # § class token
        token = self.class_token[...].astype(x.dtype)
        token = jnp.broadcast_to(token, (x.shape[0], 1, x.shape[2]))
        x = jnp.concatenate((token, x), 1)  # (N, T + 1, C)
        # § encode
        x = self.encoder(x)
        # § head
        return self.heads["head"](x[:, 0])
