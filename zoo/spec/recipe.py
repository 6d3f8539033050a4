"""A recipe: everything that defines a training run, and nothing about a framework.

Formulas and constants are PyTorch's. Where a framework's own optimizer differs, its
backend replaces it. The learning rate is a NumPy curve with one value for each update.
Frameworks' own schedules are not used, as each counts steps in its own way.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..configs._base import LOSSES as MODEL_LOSSES
from ..configs._base import Config
from ..configs._validation import Validated
from ..errors import ConfigError, FileError

LOSSES = ("auto", *MODEL_LOSSES)
SCHEDULES = (
    "constant", "step", "exponential", "cosine", "warmup_cosine", "one_cycle",
    "plateau",
)  # fmt: skip
PRECISIONS = ("auto", "float32", "float64", "bf16", "fp16")
AUGMENTATIONS = ("flip", "crop", "rotate")
MONITORS = {"loss": -1, "accuracy": 1, "iou": 1, "perplexity": -1}  # 1: more is better

# Optimizer -> its constants. Sources: Polyak 1964 and Sutskever et al. 2013 (momentum,
# Nesterov), Kingma and Ba 2015 (Adam), Loshchilov and Hutter 2019 (AdamW), Tieleman and
# Hinton 2012 (RMSProp), Duchi et al. 2011 (Adagrad), Dozat 2016 (NAdam), Chen et al.
# 2023 (Lion).
OPTIMIZERS: dict[str, dict[str, float]] = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "adamw": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "rmsprop": {"rho": 0.99, "eps": 1e-8, "momentum": 0.0},
    "adagrad": {"eps": 1e-10},
    "nadam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "momentum_decay": 4e-3},
    "lion": {"beta1": 0.9, "beta2": 0.99},
}
SLOTS: dict[str, tuple[str, ...]] = {
    "sgd": (),
    "momentum": ("momentum_buffer",),
    "nesterov": ("momentum_buffer",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "rmsprop": ("square_avg", "momentum_buffer"),
    "adagrad": ("sum",),
    "nadam": ("exp_avg", "exp_avg_sq"),
    "lion": ("exp_avg",),
}
DECOUPLED = ("adamw", "lion")  # decay the weight itself; others its gradient (L2)
CONSTANTS = tuple(sorted({name for known in OPTIMIZERS.values() for name in known}))


@dataclass(frozen=True, kw_only=True)
class Recipe(Validated):
    """How a model is trained: frozen, validated, equal by value, stored as JSON.

    A step is one update of the weights. Steps are counted from 1, epochs from 0.

    Args:
        loss: "cross_entropy", "bce" (with logits) or "mse"; "auto": the model's own.
        label_smoothing: share of the target spread over all classes (cross_entropy).
        optimizer: sgd, momentum, nesterov, adam, adamw, rmsprop, adagrad, nadam, lion.
        lr: highest learning rate.
        momentum, beta1, beta2, eps, rho, momentum_decay: the optimizer's constants;
            None: the usual value, see `OPTIMIZERS`.
        weight_decay: this times the weight is added to the gradient (L2); for adamw
            and lion the weight itself shrinks, by this times the learning rate.
        decay_all: also decay biases and norms (weights with fewer than two axes).
        schedule: constant, step, exponential, cosine, warmup_cosine, one_cycle or
            plateau.
        warmup: steps of linear warm-up (warmup_cosine); None: a tenth of the run.
        decay_every: steps between two decays (step; None: a third of the run), or
            steps that decay by `gamma` (exponential; None: the run).
        gamma: factor of one decay (step, exponential, plateau).
        min_lr: lowest learning rate (cosine, warmup_cosine, plateau).
        plateau_patience: evaluations without improvement that plateau allows; the next
            one decays the learning rate.
        clip_norm: maximum global norm of the gradient; None: no limit.
        clip_value: maximum absolute value in the gradient, clipped before the norm;
            None: no limit.
        accumulate: parts that each batch is split into. Their gradients are added up,
            which saves memory; batch norm sees one part at a time.
        ema: decay of an exponential moving average of the weights, used in
            evaluation; None: no average.
        precision: "float32" or "float64"; "bf16" or "fp16": compute in 16 bits, keep
            float32 weights (fp16 with a loss scale); "auto": the model's dtype.
        batch_size: examples in a step.
        epochs, steps: length of the run; give one of them. Neither: 10 epochs.
        evaluate_every: steps between two evaluations; None: an epoch.
        patience: evaluations without improvement before the run stops; None: it never
            stops early.
        min_delta: smallest change that counts as an improvement.
        monitor: measure that must improve: loss, accuracy, iou or perplexity.
        freeze: patterns of weights that are not trained, such as "layer1.*"; a batch
            norm with frozen statistics runs in eval mode.
        lr_groups: (pattern, factor) pairs; the first pattern that matches a weight's
            name multiplies its learning rate.
        augment: random changes of the training images: flip, crop, rotate.
        deterministic_dropout: use the same dropout masks in every framework.
        seed: of the order of examples, augmentation, dropout, and the data's split.
    """

    loss: str = "auto"
    label_smoothing: float = 0.0
    optimizer: str = "adamw"
    lr: float = 1e-3
    momentum: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    eps: float | None = None
    rho: float | None = None
    momentum_decay: float | None = None
    weight_decay: float = 0.0
    decay_all: bool = True
    schedule: str = "constant"
    warmup: int | None = None
    decay_every: int | None = None
    gamma: float = 0.1
    min_lr: float = 0.0
    plateau_patience: int = 10
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    ema: float | None = None
    precision: str = "auto"
    batch_size: int = 64
    epochs: int | None = None
    steps: int | None = None
    evaluate_every: int | None = None
    patience: int | None = None
    min_delta: float = 0.0
    monitor: str = "loss"
    freeze: tuple[str, ...] = ()
    lr_groups: tuple[tuple[str, float], ...] = ()
    augment: tuple[str, ...] = ()
    deterministic_dropout: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("freeze", "augment"):
            object.__setattr__(self, name, self._texts(name))
        object.__setattr__(self, "lr_groups", self._groups())
        self._choices()
        self._numbers()
        if self.epochs is not None and self.steps is not None:
            raise ConfigError(
                f"give epochs or steps, not both; got {self.epochs} and {self.steps}."
            )
        if self.min_lr > self.lr:
            raise self._fail("min_lr", f"at most lr={self.lr}")
        if self.label_smoothing and self.loss not in ("auto", "cross_entropy"):
            raise ConfigError(
                f"label_smoothing needs the loss cross_entropy; got {self.loss!r}."
            )

    def _texts(self, name: str) -> tuple[str, ...]:
        value = getattr(self, name)
        value = (value,) if isinstance(value, str) else value
        sequence = isinstance(value, (tuple, list))
        if not sequence or not all(isinstance(v, str) for v in value):
            raise self._fail(name, "a list of strings")
        return tuple(value)

    def _groups(self) -> tuple[tuple[str, float], ...]:
        given: Any = self.lr_groups
        try:
            pairs = dict(given)
            groups = tuple((p, float(f)) for p, f in pairs.items())
            if all(isinstance(p, str) and 0 <= f < math.inf for p, f in groups):
                return groups
        except (TypeError, ValueError):
            pass
        raise self._fail("lr_groups", "pairs of a pattern and a factor, 0 or more")

    def _choices(self) -> None:
        self._choice("loss", LOSSES)
        self._choice("optimizer", OPTIMIZERS)
        self._choice("schedule", SCHEDULES)
        self._choice("precision", PRECISIONS)
        self._choice("monitor", MONITORS)
        for value in self.augment:
            self._known("augment", value, AUGMENTATIONS)
        for name in CONSTANTS:
            given = getattr(self, name) is not None
            if given and name not in OPTIMIZERS[self.optimizer]:
                own = ", ".join(OPTIMIZERS[self.optimizer]) or "none"
                raise ConfigError(
                    f"{self.optimizer} has no {name}; its constants: {own}."
                )
        self._flag("decay_all", "deterministic_dropout")

    def _numbers(self) -> None:
        self._integer("batch_size", "accumulate", least=1)
        optional = ("epochs", "steps", "evaluate_every", "patience", "decay_every")
        self._integer(*optional, least=1, optional=True)
        self._integer("seed", "plateau_patience", least=0)
        self._integer("warmup", least=0, optional=True)
        self._real("lr", "gamma", wanted="positive", ok=lambda v: v > 0)
        limits = ("clip_norm", "clip_value")
        self._real(*limits, wanted="positive", ok=lambda v: v > 0, optional=True)
        amounts = ("weight_decay", "min_lr", "min_delta")
        self._real(*amounts, wanted="0 or more", ok=lambda v: v >= 0)
        self._fraction("label_smoothing")
        self._fraction("ema", "momentum", "beta1", "beta2", "rho", optional=True)
        constants = ("eps", "momentum_decay")
        self._real(*constants, wanted="0 or more", ok=lambda v: v >= 0, optional=True)

    @property
    def slots(self) -> tuple[str, ...]:
        """The optimizer's state for each weight, by PyTorch's names."""
        names = SLOTS[self.optimizer]
        if self.optimizer == "rmsprop" and not self.constants["momentum"]:
            names = names[:1]
        return names if self.ema is None else (*names, "ema")

    @property
    def constants(self) -> dict[str, float]:
        """The optimizer's constants: those given, else the usual ones."""
        usual = OPTIMIZERS[self.optimizer]
        given = {name: getattr(self, name) for name in usual}
        return {k: usual[k] if v is None else v for k, v in given.items()}

    def loss_for(self, config: Config) -> str:
        """Return the loss to train a model with: this recipe's, or the model's own.

        Raises ConfigError for label_smoothing with a loss other than cross_entropy.
        """
        loss = config.loss if self.loss == "auto" else self.loss
        if self.label_smoothing and loss != "cross_entropy":
            raise ConfigError(
                f"label_smoothing needs the loss cross_entropy; this one is {loss!r}."
            )
        return loss

    def frozen(self, name: str) -> bool:
        """Return whether the weight of this canonical name is not trained."""
        return any(fnmatchcase(name, pattern) for pattern in self.freeze)

    def lr_factor(self, name: str) -> float:
        """Return the factor of a weight's learning rate: its group's, or 1."""
        matches = (f for p, f in self.lr_groups if fnmatchcase(name, p))
        return next(matches, 1.0)

    def decays(self, shape: tuple[int, ...]) -> bool:
        """Return whether a weight of this shape decays."""
        return self.weight_decay > 0 and (self.decay_all or len(shape) > 1)

    def length(self, steps_per_epoch: int) -> int:
        """Return the number of steps of the run."""
        if self.steps is not None:
            return self.steps
        return (10 if self.epochs is None else self.epochs) * steps_per_epoch

    def curve(self, steps: int) -> np.ndarray:
        """Return the learning rate of each of `steps` updates: (steps,), float64.

        For plateau it is constant; the training loop multiplies it by its decays.
        """
        t = np.arange(steps, dtype=np.float64)
        if self.schedule == "step":
            every = self.decay_every or max(1, steps // 3)
            return self.lr * self.gamma ** np.floor(t / every)
        if self.schedule == "exponential":
            return self.lr * self.gamma ** (t / (self.decay_every or steps))
        if self.schedule == "cosine":
            return _cosine(self.lr, self.min_lr, t / steps)
        if self.schedule == "warmup_cosine":
            warmup = steps // 10 if self.warmup is None else min(self.warmup, steps)
            rise = self.lr * (t + 1) / max(warmup, 1)  # above 0 from the first update
            fall = _cosine(self.lr, self.min_lr, (t - warmup) / max(steps - warmup, 1))
            return np.where(t < warmup, rise, fall)
        if self.schedule == "one_cycle":  # Smith and Topin 2018; cosine, as in PyTorch
            peak, low = 0.3 * steps - 1, self.lr / 25
            rise = _cosine(low, self.lr, t / peak if peak > 0 else t * 0 + 1)
            fall = _cosine(self.lr, low / 1e4, (t - peak) / max(steps - 1 - peak, 1))
            return np.where(t < peak, rise, fall)
        return np.full(steps, float(self.lr))

    def to_json(self) -> str:
        """Return the recipe as JSON."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Return the recipe in a JSON file.

        Raises FileError for a file that cannot be read, ConfigError for one that is no
        recipe.
        """
        try:
            return cls.from_json(Path(path).read_text())
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise FileError(f"cannot read the recipe {path}: {reason}.") from None
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the recipe that `to_json` wrote; missing fields have their defaults.

        Raises ConfigError for anything but a JSON object, unknown fields, wrong values.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"a recipe must be JSON: {error}.") from None
        if not isinstance(values, dict):
            raise ConfigError(
                f"a recipe must be a JSON object; got {type(values).__name__}."
            )
        cls.check_names(values)
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"this is not a valid recipe: {error}.") from None


def _cosine(start: float, end: float, part: np.ndarray) -> np.ndarray:
    """Interpolate from start to end by half a cosine; `part` is clipped to [0, 1]."""
    return end + (start - end) * (1 + np.cos(np.pi * np.clip(part, 0, 1))) / 2
