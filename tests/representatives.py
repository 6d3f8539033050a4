"""One small preset of every architecture, and of every kind of recurrent cell."""

import zoo

_FIRST = {}
for _name in zoo.list_models():
    _FIRST.setdefault(type(zoo.config(_name)), _name)

# Kinds of block that no first preset of a config class shows.
EXTRA = (
    "gru",
    "lstm",
    "resnet50",
    "resnet50_v2",
    "rnn",
    "sentiment_lstm",
    "transformer_encoder_postnorm",
    "unet_bn",
    "unet_time",
    "vgg11_bn",
)
REPRESENTATIVES = sorted({*_FIRST.values(), *EXTRA})
RECURRENT = [n for n in REPRESENTATIVES if hasattr(zoo.config(n), "cell")]


def small(name, backend, **kwargs):
    """Build the small form of a preset, without dropout."""
    return zoo.build(zoo.config(name, dropout=0.0).small(), backend, **kwargs)


def inputs(model, batch=2, seed=0):
    """Return example inputs as a tuple."""
    x = zoo.example_inputs(model, batch, seed)
    return x if isinstance(x, tuple) else (x,)
