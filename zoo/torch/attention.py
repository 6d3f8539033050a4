"""Attention (Vaswani et al. 2017, arXiv:1706.03762), and three networks made of it.

SelfAttentionNet: features (N, T, C) -> features (N, T, C).
TransformerEncoder: tokens (N, T), with an optional mask (N, T), True for real tokens
-> logits (N, num_classes).
GPT (Radford et al. 2019): tokens (N, T) -> logits (N, T, vocabulary).
ViT (Dosovitskiy et al. 2020, arXiv:2010.11929): image (N, C, H, W) -> logits
(N, num_classes).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..configs.attention import (
    GPTConfig,
    SelfAttentionNetConfig,
    TransformerEncoderConfig,
    ViTConfig,
)
from ..spec.positions import sinusoid_table
from ._layers import activation, activation_layer, vector_norm

VIT_EPS = 1e-6  # of ViT's norms, in torchvision as in the paper's code


def attend(
    qkv: Tensor,
    heads: int,
    dropout: nn.Dropout,
    keep: Tensor | None = None,
    causal: bool = False,
) -> Tensor:
    """Scaled dot-product attention of packed queries, keys and values.

    Maps (N, T, 3C) to (N, T, C). `keep` (N, T) is True where a token may be attended
    to, at least once per row. With `causal` it must be None.
    """
    # § split heads
    q, k, v = (
        x.unflatten(2, (heads, -1)).transpose(1, 2) for x in qkv.chunk(3, 2)
    )  # 3 x (N, H, T, C/H)
    # § attend
    seen = None if keep is None else keep[:, None, None]  # (N, 1, 1, T)
    if type(dropout) is nn.Dropout or not dropout.training:
        p = dropout.p if dropout.training else 0.0
        x = F.scaled_dot_product_attention(
            q, k, v, attn_mask=seen, dropout_p=p, is_causal=causal
        )  # (N, H, T, C/H)
    else:  # the fused kernel has only PyTorch's own dropout
        scores = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)  # (N, H, T, T)
        if causal:
            ones = torch.ones_like(scores[0, 0], dtype=torch.bool)
            seen = ones.tril()  # (T, T)
        if seen is not None:
            scores = scores.masked_fill(~seen, -math.inf)
        weights = F.softmax(scores, dim=-1)
        weights = dropout(weights.flatten(1)).view_as(weights)
        x = weights @ v  # (N, H, T, C/H)
    # § merge heads
    return x.transpose(1, 2).flatten(2)  # (N, T, C)


class SelfAttention(nn.Module):
    """Multi-head self-attention, with the parameters of nn.MultiheadAttention."""

    def __init__(
        self, width: int, heads: int, dropout: float, causal: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        # § project
        weight, bias = self.in_proj_weight, self.in_proj_bias
        qkv = F.linear(x, weight, bias)  # (N, T, 3C)
        x = attend(qkv, self.heads, self.dropout, keep, self.causal)
        # § project back
        return self.out_proj(x)


class SelfAttentionNet(nn.Module):
    """One multi-head self-attention."""

    def __init__(self, config: SelfAttentionNetConfig) -> None:
        super().__init__()
        self.config = config
        self.attention = SelfAttention(
            config.d_model, config.heads, config.dropout, config.causal
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.attention(features)


class EncoderLayer(nn.Module):
    """Attention, then two linear layers; named as in nn.TransformerEncoderLayer."""

    def __init__(self, config: TransformerEncoderConfig) -> None:
        super().__init__()
        width = config.d_model
        self.norm_first = config.norm_first
        self.self_attn = SelfAttention(width, config.heads, config.dropout)
        self.linear1 = nn.Linear(width, config.d_ff)
        self.linear2 = nn.Linear(config.d_ff, width)
        self.norm1 = vector_norm(config.norm, width)
        self.norm2 = vector_norm(config.norm, width)
        self.act = activation(config.activation)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        if self.norm_first:
            x = x + self.mix(self.norm1(x), keep)
            return x + self.feed(self.norm2(x))
        x = self.norm1(x + self.mix(x, keep))
        return self.norm2(x + self.feed(x))

    def mix(self, x: Tensor, keep: Tensor | None) -> Tensor:
        # § mix tokens
        return self.dropout(self.self_attn(x, keep))

    def feed(self, x: Tensor) -> Tensor:
        # § feed forward
        x = self.dropout(self.act(self.linear1(x)))  # (N, T, d_ff)
        return self.dropout(self.linear2(x))


class TransformerEncoder(nn.Module):
    """Embedding with positions, encoder layers, pooling, linear head."""

    sinusoids: Tensor

    def __init__(self, config: TransformerEncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.d_model
        self.embedding = nn.Embedding(config.vocabulary, width)
        if config.positions == "learned":
            self.position = nn.Embedding(config.context, width)
        else:
            table = torch.from_numpy(sinusoid_table(config.context, width))
            self.register_buffer("sinusoids", table, persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        # After the last sum. Layers that normalise their sums need none.
        last = config.norm if config.norm_first else "none"
        self.norm = vector_norm(last, width)
        self.fc = nn.Linear(width, config.num_classes)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        config, length = self.config, tokens.shape[1]
        config.check_length(length)
        # § embed
        x = self.embedding(tokens)  # (N, T) -> (N, T, C)
        if config.positions == "learned":
            steps = torch.arange(length, device=x.device)
            x = x + self.position(steps)
        else:
            x = x * math.sqrt(config.d_model) + self.sinusoids[:length]
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
            real = mask[:, :, None].to(x.dtype)  # (N, T, 1)
            x = (x * real).sum(1) / real.sum(1)  # (N, C)
        # § head
        return self.fc(x)


class Conv1D(nn.Module):
    """GPT-2's linear layer: the weight is (in, out), as in the public file."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(c_in, c_out))
        self.bias = nn.Parameter(torch.zeros(c_out))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.T, self.bias)


class CausalAttention(nn.Module):
    """Self-attention to the position itself and those before it."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        width = config.d_model
        self.heads = config.heads
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        # § project
        qkv = self.c_attn(x)  # (N, T, 3C)
        x = attend(qkv, self.heads, self.dropout, causal=True)
        # § project back
        return self.dropout(self.c_proj(x))


class FeedForward(nn.Module):
    """Two linear layers with an activation between."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = Conv1D(config.d_model, config.d_ff)
        self.c_proj = Conv1D(config.d_ff, config.d_model)
        self.act = activation(config.activation)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.c_fc(x))  # (N, T, d_ff)
        return self.dropout(self.c_proj(x))


class DecoderBlock(nn.Module):
    """GPT-2's block: norm first, then attention or network, then the sum."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.ln_1 = vector_norm(config.norm, config.d_model)
        self.attn = CausalAttention(config)
        self.ln_2 = vector_norm(config.norm, config.d_model)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor) -> Tensor:
        # § mix tokens
        x = x + self.attn(self.ln_1(x))
        # § feed forward
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Token and position embeddings, decoder blocks, a head tied to the tokens."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocabulary, config.d_model)
        self.wpe = nn.Embedding(config.context, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(DecoderBlock(config) for _ in range(config.layers))
        self.ln_f = vector_norm(config.norm, config.d_model)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        self.config.check_length(length)
        # § embed
        steps = torch.arange(length, device=tokens.device)
        x = self.wte(tokens) + self.wpe(steps)  # (N, T, C)
        x = self.dropout(x)
        # § decode
        for block in self.h:
            x = block(x)
        x = self.ln_f(x)
        # § head
        return F.linear(x, self.wte.weight)  # (N, T, vocabulary)


class VisionBlock(nn.Module):
    """ViT's block: norm first, then attention or network, then the sum."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        width, d_ff = config.d_model, config.d_ff
        self.ln_1 = nn.LayerNorm(width, eps=VIT_EPS)
        self.self_attention = SelfAttention(width, config.heads, config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.ln_2 = nn.LayerNorm(width, eps=VIT_EPS)
        self.mlp = nn.Sequential(
            nn.Linear(width, d_ff),
            activation_layer(config.activation),
            nn.Dropout(config.dropout),
            nn.Linear(d_ff, width),
            nn.Dropout(config.dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        # § mix tokens
        x = x + self.dropout(self.self_attention(self.ln_1(x)))
        # § feed forward
        return x + self.mlp(self.ln_2(x))


class VisionEncoder(nn.Module):
    """Learned positions, blocks, a last norm."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        width = config.d_model
        self.pos_embedding = nn.Parameter(torch.empty(1, config.patches + 1, width))
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleDict(
            {f"encoder_layer_{i}": VisionBlock(config) for i in range(config.layers)}
        )
        self.ln = nn.LayerNorm(width, eps=VIT_EPS)
        nn.init.normal_(self.pos_embedding, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(x + self.pos_embedding)
        for block in self.layers.values():
            x = block(x)
        return self.ln(x)


class ViT(nn.Module):
    """Patches, a class token in front of them, encoder, linear head."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        width, patch = config.d_model, config.patch_size
        self.conv_proj = nn.Conv2d(config.in_channels, width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = VisionEncoder(config)
        self.heads = nn.ModuleDict({"head": nn.Linear(width, config.num_classes)})

    def forward(self, image: Tensor) -> Tensor:
        self.config.check_size(image.shape[2], image.shape[3])
        # § patches
        x = self.conv_proj(image)  # (N, C, H/p, W/p)
        x = x.flatten(2).transpose(1, 2)  # (N, T, C)
        # § class token
        token = self.class_token.expand(x.shape[0], -1, -1)
        x = torch.cat((token, x), 1)  # (N, T + 1, C)
        # § encode
        x = self.encoder(x)
        # § head
        return self.heads["head"](x[:, 0])
