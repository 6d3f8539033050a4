"""The base of every config: validation, overrides, JSON, inputs and initial weights.

A config says what a model *is*. Four things follow from it without a framework:
which inputs the model takes (`inputs`), which loss it is trained with (`loss`), how
each of its weights starts (`init_rules`), and how much arithmetic it is (`work`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any, ClassVar, Literal, NamedTuple, Self

from ._validation import Validated
from ._work import Work

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
    package, _, module = model_class.__module__.rsplit(".", 2)
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


# For activations that keep the variance of a ReLU, of a tanh, of a SELU.
_SCHEME_OF = {
    "sigmoid": "xavier",
    "tanh": "xavier",
    "softmax": "xavier",
    "identity": "xavier",
    "selu": "lecun",
}


@dataclass(frozen=True, kw_only=True)
class Config(Validated):
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

        The first match wins; then come the general rules in `zoo.spec.initializers`.
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

    @classmethod
    def twin(cls, backend: str) -> tuple[str, str]:
        """Return (module, class name) of this architecture in a backend.

        `zoo.configs.unet.UNetConfig` has its twins at `zoo.torch.unet.UNet` and so on.
        """
        module = cls.__module__.replace(".configs.", f".{backend}.")
        return module, cls.__name__.removesuffix("Config")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the config that `to_dict` came from."""
        cls.check_names(values)
        return cls(**values)
