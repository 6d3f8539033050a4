"""The base of every config: validation, overrides, JSON, inputs and initial weights.

A config defines an architecture. Without a framework it gives the model's inputs
(`inputs`), its loss (`loss`), the initial values of its weights (`init_rules`) and its
multiply-adds (`work`).
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
    """One input of a model, as a public NumPy array (channels last)."""

    name: str
    shape: tuple[int, ...]  # without the batch axis
    kind: Literal["real", "token", "length", "mask", "time"] = "real"
    high: int = 0  # tokens are in [0, high), lengths in [1, high]
    optional: bool = False

    @property
    def dtype(self) -> str:
        """NumPy dtype: int32 for tokens and lengths, bool for masks, else float32."""
        return {"token": "int32", "length": "int32", "mask": "bool"}.get(
            self.kind, "float32"
        )


class Init(NamedTuple):
    """The initial values of one weight: a scheme, and its number if it has one.

    Schemes: `he`, `xavier`, `lecun`, `torch` (uniform in ±1/sqrt(fan_in)), `std`
    (uniform with standard deviation `value`), `constant`, `zeros`, `lstm_bias` (one for
    the forget gate, else zero). `layout` is "oi" (output axis first, as in Linear and
    Conv) or "io" (input axis first, as in transposed convolutions and GPT-2's Conv1D).
    """

    scheme: str
    value: float = 0.0
    layout: Literal["oi", "io"] = "oi"


# Activation -> scheme that keeps the variance from layer to layer; others have "he".
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

    # Field -> values of the random configs (near `small()`) that tests draw.
    variants: ClassVar[dict[str, tuple[Any, ...]]] = {}
    # Names in public checkpoints' files that our models do not have, such as masks and
    # auxiliary heads. Patterns as in fnmatch.
    ignored: ClassVar[tuple[str, ...]] = ()
    # Alias in a file -> our name; accepted if the two arrays are bit-equal.
    tied: ClassVar[dict[str, str]] = {}
    # Prefixes that all names in a public file may have.
    prefixes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, list):  # JSON has no tuples
                object.__setattr__(self, f.name, tuple(value))
        self._choice("initializer", SCHEMES)
        self.validate()

    def validate(self) -> None:
        """Raise ConfigError, in one line, for values that no model can have."""

    @property
    def loss(self) -> str:
        """The loss that the model is trained with by default: one of LOSSES."""
        return "cross_entropy"

    def inputs(self) -> tuple[Input, ...]:
        """Return the model's inputs in call order."""
        raise NotImplementedError

    def check_size(self, height: int | None, width: int | None) -> None:
        """Raise InputError for a size that the model cannot take; None is unknown."""

    def check_length(self, length: int | None) -> None:
        """Raise InputError for a sequence that is too long; None is unknown."""

    @property
    def scheme(self) -> str:
        """Initial scheme of weight matrices: `initializer`, or the activation's."""
        if self.initializer != "auto":
            return self.initializer
        return _SCHEME_OF.get(getattr(self, "activation", "relu"), "he")

    def init_rules(self) -> tuple[tuple[str, Init], ...]:
        """Return (name pattern, Init) pairs for weights with a scheme of their own.

        The first match counts. Without one, the rules of `zoo.spec.initializers` apply.
        """
        return ()

    def work(self) -> tuple[Work, ...]:
        """Return each layer's arithmetic for one example; () if it is not counted."""
        return ()

    def small(self) -> Self:
        """Return a cheap form of the architecture: narrow, shallow, small inputs.

        Tests of every preset use it, so it must keep every kind of block.
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
        """Return the config whose `to_dict` these values are."""
        cls.check_names(values)
        return cls(**values)
