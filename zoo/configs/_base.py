"""The base of every config: validation, overrides, JSON, inputs and initial weights.

A config says what a model *is*. Four things follow from it without a framework:
which inputs the model takes (`inputs`), which loss it is trained with (`loss`), how
each of its weights starts (`init_rules`), and how much arithmetic it is (`work`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from typing import Any, ClassVar, Literal, NamedTuple, Self

from ..errors import ConfigError, did_you_mean

IMAGE_ACTIVATIONS = (
    "relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "gelu_tanh", "silu",
    "sigmoid", "tanh", "softplus",
)  # fmt: skip
ACTIVATIONS = (*IMAGE_ACTIVATIONS, "softmax", "identity")
IMAGE_NORMS = ("none", "batch", "group", "layer")
VECTOR_NORMS = ("none", "batch", "group", "layer", "rms")
SCHEMES = ("auto", "he", "xavier", "lecun", "torch", "zeros")
LOSSES = ("cross_entropy", "bce", "mse")


def config_class(model_class: type) -> type[Config]:
    """Return the config class of a twin: the inverse of `Config.twin`."""
    package, _room, module = model_class.__module__.rsplit(".", 2)
    configs = import_module(f"{package}.configs.{module}")
    return getattr(configs, f"{model_class.__name__}Config")


class Input(NamedTuple):
    """One input of a model, as the public NumPy side sees it (channels last)."""

    name: str
    shape: tuple[int, ...]  # without the batch axis
    kind: Literal["real", "token", "length", "mask", "time"] = "real"
    high: int = 0  # tokens are in [0, high), lengths in [1, high]
    optional: bool = False

    @property
    def dtype(self) -> str:
        """NumPy dtype: float32, int32 for tokens and lengths, bool for masks."""
        return {"token": "int32", "length": "int32", "mask": "bool"}.get(
            self.kind, "float32"
        )


class Init(NamedTuple):
    """How one weight starts: a scheme, with its number where it has one.

    Schemes: `he`, `xavier`, `lecun`, `torch` (uniform in ±1/sqrt(fan_in)), `std`
    (uniform with standard deviation `value`), `constant`, `lstm_bias` (zero, but
    one for the forget gate). `layout` is "oi" (output axis first, as Linear and Conv)
    or "io" (input axis first, as transposed convolutions and GPT-2's Conv1D).
    """

    scheme: str
    value: float = 0.0
    layout: Literal["oi", "io"] = "oi"


class Work(NamedTuple):
    """The arithmetic of one layer for one example: what a matrix multiply could do.

    Norms, activations, poolings and embeddings cost nothing here: less than 1 % of a
    network, and bound by memory, not by arithmetic.
    """

    name: str  # of the layer, as the state's names begin
    macs: int  # multiply-adds of the forward pass
    input_gradient: bool = True  # in training; the network's own input needs none


def linear_work(
    name: str, c_in: int, c_out: int, rows: int = 1, *, first: bool = False
) -> Work:
    """Return a linear layer's work: every weight once for each row."""
    return Work(name, c_in * c_out * rows, not first)


def conv_work(
    name: str,
    c_in: int,
    c_out: int,
    kernel: int,
    positions: int,
    *,
    first: bool = False,
) -> Work:
    """Return a convolution's work: every weight once for each position of the output.

    Products with the zeros of the padding count: this is the dense matrix multiply,
    as it is published. A transposed convolution spreads each position of its *input*
    over the kernel: give it those positions.
    """
    return Work(name, kernel**2 * c_in * c_out * positions, not first)


def attention_work(
    name: str,
    width: int,
    length: int,
    projections: tuple[str, str] = ("in_proj", "out_proj"),
    *,
    first: bool = False,
) -> tuple[Work, ...]:
    """Return self-attention's work, with its two projections.

    Between them are the two products without weights, queries · keys and weights ·
    values: each (T, T) times the width. All T x T are counted, under a causal mask
    too: dense kernels compute them, and one that skips half is ahead of the count.
    """
    into, back = projections
    return (
        linear_work(f"{name}.{into}", width, 3 * width, length, first=first),
        Work(name, 2 * length**2 * width),
        linear_work(f"{name}.{back}", width, width, length),
    )


def blocks_work(
    config: Any,
    pattern: str,
    names: tuple[str, str, str],
    length: int,
    projections: tuple[str, str] = ("in_proj", "out_proj"),
) -> list[Work]:
    """Return the work of `config.layers` blocks: attention and two linear layers."""
    found: list[Work] = []
    for block in map(pattern.format, range(config.layers)):
        attention, up, down = (f"{block}.{name}" for name in names)
        found += attention_work(attention, config.d_model, length, projections)
        found.append(linear_work(up, config.d_model, config.d_ff, length))
        found.append(linear_work(down, config.d_ff, config.d_model, length))
    return found


def recurrent_work(
    layer: str, gates: int, c_in: int, hidden: int, steps: int, *, first: bool = False
) -> tuple[Work, Work]:
    """Return one direction's work: gates x (in + hidden) x hidden for each step.

    It comes in two parts, for of raw features only the part of the input needs no
    gradient. `layer` is as in the state's names, "l0_reverse".
    """
    return (
        Work(f"rnn.weight_ih_{layer}", gates * c_in * hidden * steps, not first),
        Work(f"rnn.weight_hh_{layer}", gates * hidden * hidden * steps),
    )


# For activations that keep the variance of a ReLU, of a tanh, of a SELU.
_SCHEME_OF = {
    "sigmoid": "xavier",
    "tanh": "xavier",
    "softmax": "xavier",
    "identity": "xavier",
    "selu": "lecun",
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of every architecture's config: frozen, validated, and equal by value.

    Args:
        initializer: scheme of the weight matrices and kernels. "auto" follows the
            activation: He (He et al. 2015) for the ReLU family, Xavier (Glorot and
            Bengio 2010) for sigmoid and tanh, LeCun (1998) for SELU. "torch" is
            PyTorch's own rule, "zeros" shows the symmetry problem.
    """

    initializer: str = field(default="auto")

    # Field -> values that random configs are drawn from (around `small()`), by proofs.
    variants: ClassVar[dict[str, tuple[Any, ...]]] = {}
    # State names that files of the best-known public checkpoints carry and no model
    # of ours has: masks, auxiliary heads. Patterns as in fnmatch.
    ignored: ClassVar[tuple[str, ...]] = ()
    # Alias in a file -> our name; accepted when bit-equal.
    tied: ClassVar[dict[str, str]] = {}
    # Prefixes that public files may put before every name.
    prefixes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, list):  # JSON has no tuples
                object.__setattr__(self, f.name, tuple(value))
        self._choice("initializer", SCHEMES)
        self.validate()

    def validate(self) -> None:
        """Raise ConfigError, in one line, for values no model can have."""

    @property
    def loss(self) -> str:
        """Loss that the model's logits are meant for: one of LOSSES."""
        return "cross_entropy"

    def inputs(self) -> tuple[Input, ...]:
        """Return the model's inputs in call order."""
        raise NotImplementedError

    def check_size(self, height: int | None, width: int | None) -> None:
        """Raise InputError for an image no such model takes; None is not known yet."""

    def check_length(self, length: int | None) -> None:
        """Raise InputError for a sequence too long; None is not known yet."""

    @property
    def scheme(self) -> str:
        """Initial scheme of weight matrices: the `initializer`, or what fits."""
        if self.initializer != "auto":
            return self.initializer
        return _SCHEME_OF.get(getattr(self, "activation", "relu"), "he")

    def init_rules(self) -> tuple[tuple[str, Init], ...]:
        """Return (name pattern, Init) pairs for weights whose shape tells too little.

        The first match wins; then come the general rules in `zoo.initializers`.
        """
        return ()

    def work(self) -> tuple[Work, ...]:
        """Return each layer's arithmetic for one example input; () for not counted."""
        return ()

    def small(self) -> Self:
        """Return the same architecture made cheap: narrow, shallow, small inputs.

        Proofs that walk every preset use it; every kind of block must stay.
        """
        return self

    def override(self, **overrides: Any) -> Self:
        """Return a copy with some fields changed; unknown names get a hint."""
        known = [f.name for f in fields(self)]
        for name in overrides:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ConfigError(
                    f"{type(self).__name__} has no field {name!r}.{hint}"
                    f" Fields: {', '.join(known)}."
                )
        return replace(self, **overrides)

    @classmethod
    def twin(cls, room: str) -> tuple[str, str]:
        """Return (module, class name) of this architecture in a room.

        `zoo.configs.unet.UNetConfig` has its twins at `zoo.torch.unet.UNet` and so on.
        """
        module = cls.__module__.replace(".configs.", f".{room}.")
        return module, cls.__name__.removesuffix("Config")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the config that `to_dict` came from."""
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ConfigError(f"{cls.__name__} has no field {name!r}.{hint}")
        return cls(**values)

    # Validators for `validate`: one line each, the field's name and value in it.

    def _fail(self, name: str, wanted: str) -> ConfigError:
        value = getattr(self, name)
        return ConfigError(f"{name} must be {wanted}; got {value!r}.")

    def _positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise self._fail(name, "a positive integer")

    def _widths(self, name: str, least: int = 1) -> None:
        values = getattr(self, name)
        good = isinstance(values, tuple) and len(values) >= least
        if not good or not all(type(v) is int and v > 0 for v in values):
            raise self._fail(name, f"at least {least} positive integers")

    def _fraction(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 <= value < 1:
                raise self._fail(name, "a number in [0, 1)")

    def _flag(self, *names: str) -> None:
        for name in names:
            if not isinstance(getattr(self, name), bool):
                raise self._fail(name, "True or False")

    def _choice(self, name: str, allowed: Collection[str]) -> None:
        value = getattr(self, name)
        if value not in allowed:
            hint = did_you_mean(value, allowed)
            wanted = f"one of {', '.join(allowed)}"
            raise ConfigError(f"{name} must be {wanted}; got {value!r}.{hint}")

    def _divides(self, divisor: str, name: str) -> None:
        if getattr(self, name) % getattr(self, divisor):
            wanted = f"divisible by {divisor}={getattr(self, divisor)}"
            raise self._fail(name, wanted)
