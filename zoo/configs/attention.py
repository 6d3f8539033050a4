"""Attention: Vaswani et al. 2017 (arXiv:1706.03762), and three networks made of it.

A text classifier (the paper's encoder), a causal language model (GPT-2: Radford et
al. 2019) and an image classifier (ViT: Dosovitskiy et al. 2020, arXiv:2010.11929).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import InputError
from ._base import IMAGE_ACTIVATIONS, Config, Init, Input
from ._work import Work, attention_work, blocks_work, conv_work, linear_work

TOKEN_NORMS = ("none", "layer", "rms")  # norms of one token at a time


class _AttentionConfig(Config):
    """Base of the family, whose scheme is Xavier (Glorot and Bengio 2010)."""

    @property
    def scheme(self) -> str:
        return "xavier" if self.initializer == "auto" else self.initializer

    def _std(self, value: float) -> Init:
        """Return a standard deviation, or the `initializer` if one was given."""
        if self.initializer == "auto":
            return Init("std", value)
        return Init(self.initializer)

    def check_length(self, length: int | None) -> None:
        """Raise InputError for more tokens than positions; None is unknown."""
        context = getattr(self, "context", math.inf)
        if (length or 0) > context:
            raise InputError(
                f"a sequence of {length} tokens is longer than context={context}."
                " Cut it, or build the model with a larger context."
            )


@dataclass(frozen=True, kw_only=True)
class SelfAttentionNetConfig(_AttentionConfig):
    """Everything that defines one multi-head self-attention.

    Args:
        d_model: width of the features.
        heads: attention heads; each has d_model / heads of the width.
        causal: attend only to the position itself and those before it.
        dropout: on the attention weights, in training.
        length: positions of the example inputs; any length works.
    """

    d_model: int = 512
    heads: int = 8
    causal: bool = False
    dropout: float = 0.0
    length: int = 100

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "d_model": (6, 10, 12),
        "heads": (1, 2, 3),
        "causal": (False, True),
        "length": (1, 7),
    }

    def validate(self) -> None:
        self._positive("d_model", "heads", "length")
        self._divides("heads", "d_model")
        self._flag("causal")
        self._fraction("dropout")

    @property
    def loss(self) -> str:
        return "mse"

    def inputs(self) -> tuple[Input, ...]:
        return (Input("features", (self.length, self.d_model)),)

    def work(self) -> tuple[Work, ...]:
        return attention_work("attention", self.d_model, self.length, first=True)

    def small(self) -> SelfAttentionNetConfig:
        return self.override(d_model=10, heads=2, length=7)


@dataclass(frozen=True, kw_only=True)
class TransformerEncoderConfig(_AttentionConfig):
    """Everything that defines a text classifier.

    Args:
        vocabulary: number of token ids.
        context: the longest sequence.
        d_model, heads, layers, d_ff: width, attention heads, blocks, and the width
            inside a block's two-layer network.
        num_classes: logits.
        norm_first: norm before attention and network (Xiong et al. 2020,
            arXiv:2002.04745), with a last one at the end; False: after each sum, as
            in 2017.
        norm: layer, rms or none.
        positions: "sinusoidal", added to embeddings times sqrt(d_model) as in 2017,
            or "learned", as in BERT.
        pooling: "mean" over the real tokens, or the "first" token.
        activation: between the two linear layers.
        dropout: on embeddings, attention weights and each layer's output, in training.
        length: tokens of the example inputs; any up to `context` work.
    """

    vocabulary: int = 20_000
    context: int = 512
    d_model: int = 128
    heads: int = 4
    layers: int = 2
    d_ff: int = 512
    num_classes: int = 2
    norm_first: bool = True
    norm: str = "layer"
    positions: str = "sinusoidal"
    pooling: str = "mean"
    activation: str = "relu"
    dropout: float = 0.1
    length: int = 64

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "d_model": (6, 10, 12),
        "heads": (1, 2, 3),
        "layers": (1, 2),
        "num_classes": (1, 3),
        "norm_first": (False, True),
        "norm": TOKEN_NORMS,
        "positions": ("sinusoidal", "learned"),
        "pooling": ("mean", "first"),
        "activation": IMAGE_ACTIVATIONS,
        "length": (3, 7),
    }

    def validate(self) -> None:
        self._positive("vocabulary", "context", "d_model", "heads", "layers", "d_ff")
        self._positive("num_classes", "length")
        self._divides("heads", "d_model")
        self._flag("norm_first")
        self._choice("norm", TOKEN_NORMS)
        self._choice("positions", ("sinusoidal", "learned"))
        self._choice("pooling", ("mean", "first"))
        self._choice("activation", IMAGE_ACTIVATIONS)
        self._fraction("dropout")
        if self.positions == "sinusoidal" and self.d_model % 2:
            raise self._fail("d_model", "even (half sines, half cosines)")
        if self.length > self.context:
            raise self._fail("length", f"at most context={self.context}")

    @property
    def loss(self) -> str:
        return "bce" if self.num_classes == 1 else "cross_entropy"

    def inputs(self) -> tuple[Input, ...]:
        return (
            Input("tokens", (self.length,), "token", self.vocabulary),
            Input("mask", (self.length,), "mask", optional=True),
        )

    def init_rules(self) -> tuple[tuple[str, Init], ...]:
        # Multiplied by sqrt(d_model), embeddings are as large as the sinusoids.
        sinusoidal = self.positions == "sinusoidal"
        return (
            ("embedding.weight", self._std(self.d_model**-0.5 if sinusoidal else 0.02)),
            ("position.weight", self._std(0.02)),
            ("blocks.*.act.weight", Init("constant", 0.25)),  # PReLU
        )

    def work(self) -> tuple[Work, ...]:
        names = ("self_attn", "linear1", "linear2")
        blocks = blocks_work(self, "blocks.{}", names, self.length)
        return (*blocks, linear_work("fc", self.d_model, self.num_classes))

    def small(self) -> TransformerEncoderConfig:
        return self.override(
            vocabulary=min(self.vocabulary, 50),
            context=9,
            d_model=10,
            heads=2,
            layers=min(self.layers, 2),
            d_ff=12,
            num_classes=min(self.num_classes, 3),
            length=7,
        )


@dataclass(frozen=True, kw_only=True)
class GPTConfig(_AttentionConfig):
    """Everything that defines a causal language model like GPT-2.

    The head is tied: logits are products with the token embeddings.

    Args:
        vocabulary: number of token ids, and of logits.
        context: the longest sequence.
        d_model, heads, layers, d_ff: width, attention heads, blocks, and the width
            inside a block's two-layer network.
        norm: layer, rms or none.
        activation: between the two linear layers.
        dropout: on embeddings, attention weights and each layer's output, in training.
        length: tokens of the example inputs; any up to `context` work.
    """

    vocabulary: int = 256
    context: int = 128
    d_model: int = 128
    heads: int = 4
    layers: int = 4
    d_ff: int = 512
    norm: str = "layer"
    activation: str = "gelu_tanh"
    dropout: float = 0.1
    length: int = 64

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "d_model": (5, 10, 12),
        "heads": (1, 2, 5),
        "layers": (1, 2),
        "norm": TOKEN_NORMS,
        "activation": IMAGE_ACTIVATIONS,
        "length": (2, 9),
    }
    # The public file has each block's causal mask, and HF's class a tied head.
    ignored: ClassVar[tuple[str, ...]] = ("h.*.attn.bias", "h.*.attn.masked_bias")
    tied: ClassVar[dict[str, str]] = {"lm_head.weight": "wte.weight"}
    prefixes: ClassVar[tuple[str, ...]] = ("transformer.",)

    def validate(self) -> None:
        self._positive("vocabulary", "context", "d_model", "heads", "layers", "d_ff")
        self._positive("length")
        self._divides("heads", "d_model")
        self._choice("norm", TOKEN_NORMS)
        self._choice("activation", IMAGE_ACTIVATIONS)
        self._fraction("dropout")
        if self.length > self.context:
            raise self._fail("length", f"at most context={self.context}")

    def inputs(self) -> tuple[Input, ...]:
        return (Input("tokens", (self.length,), "token", self.vocabulary),)

    def init_rules(self) -> tuple[tuple[str, Init], ...]:
        # The more branches are summed, the smaller each starts.
        branch = self._std(0.02 / math.sqrt(2 * self.layers))
        return (
            ("wte.weight", self._std(0.02)),
            ("wpe.weight", self._std(0.02)),
            ("h.*.mlp.act.weight", Init("constant", 0.25)),  # PReLU
            ("h.*.c_proj.weight", branch._replace(layout="io")),
            ("h.*.c_*.weight", self._std(0.02)._replace(layout="io")),
        )

    def work(self) -> tuple[Work, ...]:
        names = ("attn", "mlp.c_fc", "mlp.c_proj")
        blocks = blocks_work(self, "h.{}", names, self.length, ("c_attn", "c_proj"))
        head = linear_work("wte", self.d_model, self.vocabulary, self.length)
        return (*blocks, head)

    def small(self) -> GPTConfig:
        return self.override(
            vocabulary=min(self.vocabulary, 50),
            context=9,
            d_model=10,
            heads=2,
            layers=min(self.layers, 2),
            d_ff=12,
            length=7,
        )


@dataclass(frozen=True, kw_only=True)
class ViTConfig(_AttentionConfig):
    """Everything that defines a vision transformer.

    Args:
        image_size: height and width; the learned positions are for this size alone.
        patch_size: height and width of a patch; it divides the image size.
        in_channels, num_classes: channels of the image, logits.
        d_model, heads, layers, d_ff: width, attention heads, blocks, and the width
            inside a block's two-layer network.
        activation: between the two linear layers.
        dropout: on patches, attention weights and each layer's output, in training.
    """

    image_size: int = 32
    patch_size: int = 4
    in_channels: int = 3
    num_classes: int = 10
    d_model: int = 192
    heads: int = 3
    layers: int = 6
    d_ff: int = 768
    activation: str = "gelu"
    dropout: float = 0.0

    variants: ClassVar[dict[str, tuple[Any, ...]]] = {
        "image_size": (6, 9),
        "patch_size": (1, 2, 3),
        "in_channels": (1, 3),
        "num_classes": (1, 3),
        "d_model": (6, 10),
        "heads": (1, 2),
        "layers": (1, 2),
        "activation": IMAGE_ACTIVATIONS,
    }

    def validate(self) -> None:
        self._positive("image_size", "patch_size", "in_channels", "num_classes")
        self._positive("d_model", "heads", "layers", "d_ff")
        self._divides("patch_size", "image_size")
        self._divides("heads", "d_model")
        self._choice("activation", IMAGE_ACTIVATIONS)
        self._fraction("dropout")

    @property
    def loss(self) -> str:
        return "bce" if self.num_classes == 1 else "cross_entropy"

    @property
    def patches(self) -> int:
        """Number of patches of an image."""
        return (self.image_size // self.patch_size) ** 2

    def inputs(self) -> tuple[Input, ...]:
        return (Input("image", (self.image_size, self.image_size, self.in_channels)),)

    def check_size(self, height: int | None, width: int | None) -> None:
        """Raise InputError unless the image has `image_size`; None is unknown."""
        size = self.image_size
        if (height or size, width or size) != (size, size):
            raise InputError(
                f"this ViT has learned positions for {size}x{size} images;"
                f" got {height}x{width}. Resize the image, or build with image_size=…."
            )

    def init_rules(self) -> tuple[tuple[str, Init], ...]:
        patch = "lecun" if self.initializer == "auto" else self.initializer
        return (
            ("class_token", self._std(0.02)),
            ("encoder.pos_embedding", self._std(0.02)),
            ("conv_proj.weight", Init(patch)),
            ("encoder.layers.*.mlp.1.weight", Init("constant", 0.25)),  # PReLU
        )

    def work(self) -> tuple[Work, ...]:
        c, patch, t = self.in_channels, self.patch_size, self.patches
        patches = conv_work("conv_proj", c, self.d_model, patch, t, first=True)
        layer, names = "encoder_layer_{}", ("self_attention", "mlp.0", "mlp.3")
        blocks = blocks_work(self, f"encoder.layers.{layer}", names, t + 1)
        return (
            patches,
            *blocks,
            linear_work("heads.head", self.d_model, self.num_classes),
        )

    def small(self) -> ViTConfig:
        return self.override(
            image_size=9,
            patch_size=3,
            num_classes=min(self.num_classes, 3),
            d_model=10,
            heads=2,
            layers=min(self.layers, 2),
            d_ff=12,
        )


_BASE = {"d_model": 768, "heads": 12, "layers": 12, "d_ff": 3072}

PRESETS = {
    "self_attention": SelfAttentionNetConfig(),
    "transformer_encoder": TransformerEncoderConfig(),
    "transformer_encoder_postnorm": TransformerEncoderConfig(
        norm_first=False, positions="learned", pooling="first", activation="gelu"
    ),
    "gpt": GPTConfig(),
    "gpt2": GPTConfig(vocabulary=50_257, context=1024, **_BASE),
    "vit": ViTConfig(),
    "vit_b_16": ViTConfig(image_size=224, patch_size=16, num_classes=1000, **_BASE),
}
