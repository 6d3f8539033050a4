"""The proof of the proof: real porting mistakes, planted in one backend, are caught.

Each mutation names the rung that must fail first, the submodule or tensor, and a word
of the cause where the catalogue knows one. conftest.py prints the score.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from flax import nnx
from keras import layers, ops

import zoo
import zoo.jax._layers as jax_layers
import zoo.jax._run as jax_run
import zoo.jax._weights as jax_weights
import zoo.jax.attention as jax_attention
import zoo.jax.cnn as jax_cnn
import zoo.jax.resnet as jax_resnet
import zoo.jax.unet as jax_unet
import zoo.tf._layers as tf_layers
import zoo.tf._run as tf_run
import zoo.tf._weights as tf_weights
import zoo.tf.attention as tf_attention
import zoo.tf.resnet as tf_resnet
from zoo.spec.layouts import Entry, move


class Mutation(NamedTuple):
    """A mistake: how to plant it in the model of one backend, and what must be said."""

    preset: str
    backend: str
    plant: Callable[[pytest.MonkeyPatch, Any], object]
    rung: str
    where: str
    cause: str = ""
    overrides: dict[str, Any] = {}
    dtypes: tuple[str, ...] = ("float64",)
    early: bool = False  # planted before the model is built (tables, initial weights)


def replaced(target: Any, name: str, value: Any) -> Callable[..., None]:
    """Return a planter that replaces an attribute of a module or class."""
    return lambda patch, model: patch.setattr(target, name, value)


def entry(table: dict[type, Entry], kind: type, new: Entry) -> Callable[..., None]:
    """Return a planter that replaces a table's entry."""
    return lambda patch, model: patch.setitem(table, kind, new)


def on(edit: Callable[[Any], object]) -> Callable[..., None]:
    """Return a planter that edits the built model."""
    return lambda patch, model: edit(model)


# BatchNorm and other norms


def tf_bn_eps(m):
    m.down[0].norm1.epsilon = 1e-3  # Keras's default


def jax_bn_momentum(m):
    m.down[1].norm2.momentum = 0.1  # PyTorch's number in Flax's convention


def tf_bn_momentum(m):
    m.middle.norm1.momentum = 0.99  # Keras's default


def torch_bn_momentum(m):
    m.down[0].norm1.momentum = 0.01


def jax_biased(self, running, new):
    rounds = 1 if running is self.mean else (27 * 16 - 1) / (27 * 16)
    running[...] = self.momentum * running[...] + (1 - self.momentum) * new * rounds


def jax_ln_eps(m):
    m.blocks[1].ln2.epsilon = 1e-6  # Flax's default


def tf_gn_eps(m):
    m.down[0].norm1.epsilon = 1e-3


def jax_gn_groups(m):
    m.down[0].norm1.num_groups = 2
    m.down[0].norm1.group_size = 4


# Convolutions and pooling


def jax_same(m):
    m.conv1.padding = "SAME"


def jax_same_inner(m):
    m.layer2[0].conv1.padding = "SAME"


def tf_pad_after(m):
    m.conv1.pads = (2, 4)


def jax_bottleneck_strides(m):
    block = m.layer2[0]
    block.conv1.strides, block.conv2.strides = block.conv2.strides, block.conv1.strides


def jax_dilation(m):
    m.layer1[0].conv1.kernel_dilation = 2
    m.layer1[0].conv1.padding = 2


def jax_flipped_transpose(self, x):
    n, h, w, _ = x.shape
    weight = self.weight[...].astype(x.dtype)[:, :, ::-1, ::-1]
    _, c_out, k, _ = weight.shape
    y = jnp.einsum("nhwi,iokl->nhkwlo", x, weight).reshape(n, h * k, w * k, c_out)
    return y + self.bias[...].astype(x.dtype)


def jax_zero_padded_pool(x, kernel, stride, padding=0, ceil=False):
    x = jnp.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    return jax_layers.max_pool(x, kernel, stride)


def tf_same_pool(x, kernel, stride, padding=0, ceil=False):
    return ops.max_pool(x, kernel, stride, padding="same")


def jax_tie_splitting_pool(x, kernel, stride, padding=0, ceil=False):
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


def jax_skip_order(m):
    real = m.merge[0]

    class Swapped(nnx.Module):
        def __init__(self, block):
            self.block = block

        def __call__(self, x, time=None):
            half = x.shape[-1] // 2
            return self.block(jnp.concatenate((x[..., half:], x[..., :half]), -1), time)

    Swapped.__module__ = type(real).__module__
    m.merge[0] = Swapped(real)


# Recurrent nets


def lstm_swapped(native):
    i, f, g, o = np.split(native, 4, -1)
    return np.concatenate((f, i, g, o), -1)


def tf_no_lengths_path(patch, m):
    real = tf_layers.LSTM.call

    def call(self, x, lengths=None, training=False):
        out, last = real(self, x, lengths, training)
        return (out, last) if lengths is not None else (out, out[:, 0])

    patch.setattr(tf_layers.LSTM, "call", call)


LSTM_SWAPPED = Entry(
    lambda n: {
        "weight_ih_{}": lstm_swapped(n["kernel"]).T,
        "weight_hh_{}": lstm_swapped(n["recurrent_kernel"]).T,
        "bias_ih_{}": lstm_swapped(n["bias"]),
    },
    lambda s: {
        "kernel": lstm_swapped(s["weight_ih_{}"].T),
        "recurrent_kernel": lstm_swapped(s["weight_hh_{}"].T),
        "bias": lstm_swapped(s["bias_ih_{}"]),
    },
)
GRU_UNSWAPPED = Entry(
    lambda n: {
        "weight_ih_{}": n["kernel"].T,
        "weight_hh_{}": n["recurrent_kernel"].T,
        "bias_ih_{}": n["bias"][0],
        "bias_hh_{}": n["bias"][1],
    },
    lambda s: {
        "kernel": s["weight_ih_{}"].T,
        "recurrent_kernel": s["weight_hh_{}"].T,
        "bias": np.stack((s["bias_ih_{}"], s["bias_hh_{}"])),
    },
)


def tf_no_forget_bias(m):
    m.rnn.l0.cell.bias.assign(np.zeros(m.rnn.l0.cell.bias.shape))


def torch_second_bias(m):
    m.rnn.bias_hh_l0.fill_(0.1)


def jax_reset_before(self, z, hidden, state):
    (xr, xz, xn), (hr, hz, hn) = jnp.split(z, 3, -1), jnp.split(hidden, 3, -1)
    r, u = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
    n = jnp.tanh(xn + hn) * r
    return ((1 - u) * n + u * state[0],)


def jax_last_step(patch, m):
    real = jax_layers.LSTM.__call__

    def call(self, x, lengths=None):
        out, _ = real(self, x, lengths)
        return out, out[:, -1]

    patch.setattr(jax_layers.LSTM, "__call__", call)


def tf_ignores_lengths(patch, m):
    real = tf_layers.LSTM.call
    patch.setattr(
        tf_layers.LSTM,
        "call",
        lambda self, x, lengths=None, training=False: real(self, x, None, training),
    )


# Attention


def tf_attend(**edits):
    real = tf_attention.attend

    def attend(qkv, heads, dropout, mask=None, causal=False):
        if "polarity" in edits and mask is not None:
            mask = ops.logical_not(mask)
        if "scale" in edits:
            size = qkv.shape[2] // (3 * heads)
            q, k, v = ops.split(qkv, 3, 2)
            qkv = ops.concatenate((q * size**0.5, k, v), 2)
        if "packing" in edits:
            q, k, v = ops.split(qkv, 3, 2)
            qkv = ops.concatenate((k, q, v), 2)
        return real(qkv, heads, dropout, mask, causal and "causal" not in edits)

    return attend


def jax_half_softmax(patch, m):
    real = jax.nn.softmax
    single = lambda x, **k: real(x.astype(jnp.float32), **k).astype(x.dtype)  # noqa: E731
    patch.setattr(jax.nn, "softmax", single)


def jax_shifted_positions(patch, m):
    table = m.wpe.embedding[...]
    m.wpe.embedding[...] = jnp.roll(table, 1, 0)


def jax_interleaved_positions(patch, m):
    good = jax_attention.sinusoid_table

    def halves(length, width):
        table = good(length, width)
        return np.concatenate((table[:, 0::2], table[:, 1::2]), 1)

    patch.setattr(jax_attention, "sinusoid_table", halves)


# Activations, dropout, losses, weights


def jax_tanh_gelu(m):
    m.act = lambda x: jax.nn.gelu(x, approximate=True)


def tf_gelu_default(m):
    m.act = ops.gelu  # its constant is held in float32 only


def tf_leaky(m):
    m.act = lambda x: ops.where(x > 0, x, 0.3 * x)  # the Keras layer's default


def jax_relu_at_zero(m):
    m.down[0].act = lambda x: jnp.maximum(x, 0)  # gradient one half at 0


def torch_dropout_in_eval(m):
    m.dropout.forward = lambda x: F.dropout(x, 0.5, training=True)


def jax_dropout_rate(m):
    m.dropout.rate = 0.9


def tf_frozen(m):
    m.linears[0].trainable = False


def jax_always_running(patch, m):
    real = jax_layers.BatchNorm.__call__

    def call(self, x):
        training, self.use_running_average = self.use_running_average, True
        try:
            return real(self, x)
        finally:
            self.use_running_average = training

    patch.setattr(jax_layers.BatchNorm, "__call__", call)


def jax_half_matmul(m):
    real = m.linears[0]

    class Half(type(real)):
        def __call__(self, x):
            if x.dtype == jnp.float32:  # float64 stays exact
                x = x.astype(jnp.bfloat16).astype(jnp.float32)
            return super().__call__(x)

    jax_weights.TABLE[Half] = jax_weights.TABLE[type(real)]
    real.__class__ = Half


def tf_nan(m):
    m.act = lambda x: ops.where(x > 2.5, np.nan, ops.relu(x))


def torch_hidden_nan(m):
    with torch.no_grad():
        m.head.bias[0] = torch.nan


def tf_other_seed(m):
    zoo.load_state(m, zoo.state(zoo.build(m.config, "tf", seed=1)))


def jax_half_weights(m):
    kernel = m.linears[0].kernel
    kernel[...] = kernel[...].astype(jnp.bfloat16).astype(jnp.float32)


def jax_flatten(x):
    return x.reshape(len(x), -1)  # H, W, C: not PyTorch's order


def jax_frozen(m):
    real = m.linears[0]

    class Frozen(type(real)):
        def __call__(self, x):
            return jax.lax.stop_gradient(super().__call__(x))

    jax_weights.TABLE[Frozen] = jax_weights.TABLE[type(real)]
    real.__class__ = Frozen


def torch_surplus(m):
    m.extra = torch.nn.Linear(2, 2)


def torch_wide_head(m):
    m.head = torch.nn.Linear(m.head.in_features, m.head.out_features + 1)


S = "resnet18"
MUTATIONS = {
    # norms
    "tf-bn-eps": Mutation(
        "unet_bn", "tf", on(tf_bn_eps), "forward", "down.0.norm1", "eps"
    ),
    "jax-bn-momentum-inverted": Mutation(
        "unet_bn", "jax", on(jax_bn_momentum), "buffers", "down.1.norm2", "momentum"
    ),
    "tf-bn-momentum-default": Mutation(
        "unet_bn", "tf", on(tf_bn_momentum), "buffers", "middle.norm1", "momentum"
    ),
    "torch-bn-momentum": Mutation(
        "unet_bn", "torch", on(torch_bn_momentum), "buffers", "down.0.norm1", "momentum"
    ),
    "tf-bn-biased-variance": Mutation(
        "unet_bn",
        "tf",
        replaced(tf_layers.BatchNorm, "call", layers.BatchNormalization.call),
        "buffers",
        "running_var",
        "biased",
    ),
    "jax-bn-biased-variance": Mutation(
        "unet_bn",
        "jax",
        replaced(jax_layers.BatchNorm, "_move", jax_biased),
        "buffers",
        "running_var",
        "variance",
    ),
    "tf-gn-eps": Mutation(
        "unet_time", "tf", on(tf_gn_eps), "forward", "down.0.norm1", "GroupNorm eps"
    ),
    "jax-gn-groups": Mutation(
        "unet_time", "jax", on(jax_gn_groups), "forward", "down.0.norm1", "groups"
    ),
    "tf-ln-eps-default": Mutation(
        "vit",
        "tf",
        on(lambda m: setattr(m.encoder.ln, "epsilon", 1e-3)),
        "forward",
        "encoder.ln",
        "LayerNorm eps",
    ),
    "jax-ln-eps-default": Mutation(
        "gpt",
        "jax",
        on(lambda m: setattr(m.h[1].ln_2, "epsilon", 1e-6)),
        "forward",
        "h.1.ln_2",
        "LayerNorm eps",
    ),
    # convolutions and pooling
    "jax-conv-same-stride-2": Mutation(
        S, "jax", on(jax_same), "forward", "conv1", "asymmetric padding"
    ),
    "jax-conv-same-inner": Mutation(
        S, "jax", on(jax_same_inner), "forward", "layer2.0.conv1", "asymmetric padding"
    ),
    "tf-conv-pads-shifted": Mutation(
        S, "tf", on(tf_pad_after), "forward", "conv1", "asymmetric padding"
    ),
    "jax-stride-in-1x1": Mutation(
        "resnet50",
        "jax",
        on(jax_bottleneck_strides),
        "forward",
        "layer2.0.conv1",
        "stride",
    ),
    "jax-conv-dilated": Mutation(
        S, "jax", on(jax_dilation), "forward", "layer1.0.conv1"
    ),
    "jax-conv-kernel-transposed": Mutation(
        "unet",
        "jax",
        entry(
            jax_weights.TABLE,
            nnx.Conv,
            move(kernel=("weight", (3, 2, 1, 0)), bias="bias"),
        ),
        "forward",
        "down.0.conv1",
        "kernel",
        early=True,
    ),
    "jax-convtranspose-flipped": Mutation(
        "unet",
        "jax",
        replaced(jax_layers.ConvTranspose, "__call__", jax_flipped_transpose),
        "forward",
        "up.0",
        "flipped",
    ),
    "jax-pool-zero-padding": Mutation(
        S,
        "jax",
        replaced(jax_resnet, "max_pool", jax_zero_padded_pool),
        "forward",
        "input of layer1.0",
        "before this layer",
        overrides={"activation": "silu"},
    ),
    "tf-pool-same": Mutation(
        S,
        "tf",
        replaced(tf_resnet, "max_pool", tf_same_pool),
        "forward",
        "input of layer1.0",
    ),
    "jax-pool-splits-ties": Mutation(
        "unet",
        "jax",
        replaced(jax_unet, "max_pool", jax_tie_splitting_pool),
        "gradients",
        "down.0.conv1",
        "a tie",
        {"activation": "silu"},
    ),
    "jax-skip-order": Mutation("unet", "jax", on(jax_skip_order), "names", "merge.0"),
    "jax-flatten-order": Mutation(
        "lenet5",
        "jax",
        replaced(jax_cnn, "flatten", jax_flatten),
        "forward",
        "input of ",
        "before this",
    ),
    # linear layers
    "tf-dense-untransposed": Mutation(
        "mlp",
        "tf",
        entry(tf_weights.TABLE, layers.Dense, move(kernel="weight", bias="bias")),
        "forward",
        "linears.0",
        "layout",
        {"in_features": 6, "hidden": (6, 6), "num_classes": 6},
        early=True,
    ),
    # recurrent nets
    "tf-lstm-gates-swapped": Mutation(
        "sentiment_lstm",
        "tf",
        entry(tf_weights.TABLE, layers.LSTM, LSTM_SWAPPED),
        "forward",
        "rnn",
        "gate order",
        early=True,
    ),
    "tf-lstm-no-forget-bias": Mutation(
        "sentiment_lstm",
        "tf",
        on(tf_no_forget_bias),
        "initial weights",
        "rnn.bias_ih_l0",
    ),
    "torch-lstm-second-bias": Mutation(
        "sentiment_lstm", "torch", on(torch_second_bias), "forward", "rnn", "LSTM"
    ),
    "tf-gru-gate-order": Mutation(
        "gru_2x256",
        "tf",
        entry(tf_weights.TABLE, layers.GRU, GRU_UNSWAPPED),
        "forward",
        "rnn",
        "GRU gate order",
        early=True,
    ),
    "jax-gru-reset-before": Mutation(
        "gru_2x256",
        "jax",
        replaced(jax_layers.GRU, "cell", jax_reset_before),
        "forward",
        "rnn",
        "reset_after",
    ),
    "jax-bilstm-last-step": Mutation(
        "sentiment_lstm", "jax", jax_last_step, "forward", "rnn", "LSTM"
    ),
    "tf-lengths-ignored": Mutation(
        "sentiment_lstm", "tf", tf_ignores_lengths, "forward", "rnn", "padding"
    ),
    # attention
    "tf-mask-polarity": Mutation(
        "transformer_encoder",
        "tf",
        replaced(tf_attention, "attend", tf_attend(polarity=1)),
        "forward",
        "attn",
        "mask polarity",
    ),
    "tf-no-scale": Mutation(
        "transformer_encoder",
        "tf",
        replaced(tf_attention, "attend", tf_attend(scale=1)),
        "forward",
        "attn",
        "1/sqrt(d)",
    ),
    "tf-qkv-order": Mutation(
        "vit",
        "tf",
        replaced(tf_attention, "attend", tf_attend(packing=1)),
        "forward",
        "self_attention",
        "packing",
    ),
    "tf-not-causal": Mutation(
        "gpt",
        "tf",
        replaced(tf_attention, "attend", tf_attend(causal=1)),
        "forward",
        "h.0.attn",
        "causal",
    ),
    "jax-softmax-in-float32": Mutation(
        "vit", "jax", jax_half_softmax, "forward", "self_attention"
    ),
    "jax-positions-shifted": Mutation(
        "gpt", "jax", jax_shifted_positions, "initial weights", "wpe.weight"
    ),
    "jax-positions-in-halves": Mutation(
        "transformer_encoder",
        "jax",
        jax_interleaved_positions,
        "forward",
        "input of dropout",
    ),
    # activations, dropout
    "jax-gelu-tanh": Mutation(
        "mlp_bn_gelu", "jax", on(jax_tanh_gelu), "forward", "input of dropout"
    ),
    "tf-gelu-float32-constant": Mutation(
        "mlp_bn_gelu", "tf", on(tf_gelu_default), "forward", "input of dropout"
    ),
    "tf-leaky-slope": Mutation(
        "mlp",
        "tf",
        on(tf_leaky),
        "forward",
        "input of dropout",
        overrides={"activation": "leaky_relu"},
    ),
    "jax-relu-gradient-at-zero": Mutation(
        "unet", "jax", on(jax_relu_at_zero), "gradients", "down.0", "backward"
    ),
    "torch-dropout-in-eval": Mutation(
        "mnist_mlp", "torch", on(torch_dropout_in_eval), "forward", "dropout", "dropout"
    ),
    "tf-nan": Mutation("mlp", "tf", on(tf_nan), "forward", "input of dropout", "NaN"),
    "torch-nan-weight": Mutation(
        "mlp", "torch", on(torch_hidden_nan), "initial weights", "head.bias", "NaN"
    ),
    # losses, gradients, weights, structure
    "jax-mse-half": Mutation(
        "mlp",
        "jax",
        lambda patch, m: patch.setitem(
            jax_run.LOSSES, "mse", lambda z, t: 0.5 * jnp.square(z - t).mean()
        ),
        "loss",
        "mse",
        "loss",
    ),
    "tf-bce-on-logits-as-probabilities": Mutation(
        "mlp",
        "tf",
        lambda patch, m: patch.setitem(
            tf_run.LOSSES, "bce", lambda z, t: ops.mean(ops.binary_crossentropy(t, z))
        ),
        "loss",
        "bce",
    ),
    "jax-gradient-stopped": Mutation(
        "mlp", "jax", on(jax_frozen), "gradients", "linears.0", "stopped"
    ),
    "tf-other-seed": Mutation(
        "mlp", "tf", on(tf_other_seed), "initial weights", "linears"
    ),
    "jax-rounded-weights": Mutation(
        "mlp", "jax", on(jax_half_weights), "initial weights", "linears.0.weight"
    ),
    "jax-dropout-rate": Mutation(
        "mnist_mlp",
        "jax",
        on(jax_dropout_rate),
        "settings",
        "dropout",
        "0.2 against 0.9",
    ),
    "tf-frozen-layer": Mutation(
        "mlp", "tf", on(tf_frozen), "settings", "linears.0.weight", "trainable"
    ),
    "jax-bn-ignores-training": Mutation(
        "unet_bn",
        "jax",
        jax_always_running,
        "forward (train)",
        "down.0.norm1",
        "train and eval mode",
    ),
    "tf-path-without-lengths": Mutation(
        "sentiment_lstm", "tf", tf_no_lengths_path, "forward", "rnn", "LSTM"
    ),
    "jax-float32-in-half-precision": Mutation(
        "mlp",
        "jax",
        on(jax_half_matmul),
        "forward",
        "",
        "float32 alone",
        dtypes=("float64", "float32"),
    ),
    "torch-surplus-layer": Mutation(
        "mlp", "torch", on(torch_surplus), "names", "extra"
    ),
    "torch-wide-head": Mutation("mlp", "torch", on(torch_wide_head), "shapes", "head"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_planted_mistake_is_caught(name, monkeypatch):
    mutation = MUTATIONS[name]
    config = zoo.config(mutation.preset).small().override(**mutation.overrides)
    other = "tf" if mutation.backend == "torch" else "torch"
    reference = zoo.build(config, other)
    if mutation.early:
        mutation.plant(monkeypatch, None)
    model = zoo.build(config, mutation.backend)
    if not mutation.early:
        mutation.plant(monkeypatch, model)
    report = zoo.check(reference, model, batch=3, dtypes=mutation.dtypes)
    monkeypatch.undo()
    found = report.first_divergence
    assert not report.ok and found is not None, f"{name} was not caught\n{report}"
    assert found.backend == mutation.backend, found
    assert found.rung == mutation.rung, found
    assert mutation.where in found.where, found
    assert mutation.cause in (found.cause or ""), found


def test_there_are_enough_mutations():
    assert len(MUTATIONS) >= 30
