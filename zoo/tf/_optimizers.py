"""The optimizers of a recipe in Keras, by PyTorch's formulas.

Keras's own multiply the velocity by the learning rate, add epsilon before the bias
correction, and round their constants to float32. So all but plain SGD differ from the
other frameworks' from the second step on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from ..spec.recipe import DECOUPLED, Recipe


class Optimizer(keras.optimizers.Optimizer):
    """Base: rate factors, weight decay, and slots under PyTorch's names.

    Args:
        constants: beta1, eps and so on, never rounded to float32.
        factors: of the learning rate, one for each variable.
        decays: weight decay, one for each variable.
        decoupled: whether the weight itself decays, not its gradient.
    """

    names: tuple[str, ...] = ()  # of the slots

    def __init__(
        self,
        constants: Mapping[str, float],
        factors: Sequence[float],
        decays: Sequence[float],
        decoupled: bool,
    ) -> None:
        super().__init__(learning_rate=0.0)
        self.constants, self.factors = dict(constants), list(factors)
        self.decays, self.decoupled = list(decays), decoupled

    def build(self, variables: list[Any]) -> None:
        super().build(variables)
        self.slots: dict[str, list[Any]] = {
            name: [self.add_variable_from_reference(v, name) for v in variables]
            for name in self.names
        }

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i = self._get_variable_index(variable)
        dtype = variable.dtype
        c = {k: ops.convert_to_tensor(v, dtype) for k, v in self.constants.items()}
        lr = ops.cast(learning_rate, dtype)
        lr = lr * ops.convert_to_tensor(self.factors[i], dtype)
        decay = ops.convert_to_tensor(self.decays[i], dtype)
        if self.decays[i] and self.decoupled:
            variable.assign(variable * (1 - lr * decay))
        elif self.decays[i]:
            gradient = gradient + decay * variable
        state = {name: slot[i] for name, slot in self.slots.items()}
        variable.assign_sub(lr * self.direction(gradient, state, **c))

    def direction(self, g: Any, state: Any, **constants: Any) -> Any:
        """Update the slots; return the step before the learning rate multiplies it."""
        return g

    def correction(self, decay: float) -> Any:
        """Return 1 - decay^t, t from 1, in a form that loses no digits in float32."""
        log = ops.convert_to_tensor(math.log(decay), self._dtype)
        return -ops.expm1(log * ops.cast(self.iterations + 1, self._dtype))

    @property
    def _dtype(self) -> str:
        rate: Any = self._learning_rate
        return rate.dtype


def _lerp(slot: Any, value: Any, decay: float) -> Any:
    """Update a running mean in its slot; return the slot."""
    # In float32, 1 - 0.999 is off by 5e-5, so it is computed before any rounding.
    old, new = (ops.convert_to_tensor(c, slot.dtype) for c in (decay, 1 - decay))
    slot.assign(old * slot + new * value)
    return slot


class Momentum(Optimizer):
    """Polyak 1964: the learning rate multiplies the velocity."""

    names = ("momentum_buffer",)

    def direction(self, g: Any, state: Any, *, momentum: Any) -> Any:
        buffer = state["momentum_buffer"]
        buffer.assign(momentum * buffer + g)
        return buffer


class Nesterov(Momentum):
    """Nesterov's momentum in the form of Sutskever et al. 2013."""

    def direction(self, g: Any, state: Any, *, momentum: Any) -> Any:
        return g + momentum * super().direction(g, state, momentum=momentum)


class Adam(Optimizer):
    """Kingma and Ba 2015 (arXiv:1412.6980), epsilon after the bias correction."""

    names = ("exp_avg", "exp_avg_sq")

    def direction(self, g: Any, state: Any, *, eps: Any, **rest: Any) -> Any:
        m = _lerp(state["exp_avg"], g, self.constants["beta1"])
        v = _lerp(state["exp_avg_sq"], g * g, self.constants["beta2"])
        root = ops.sqrt(v) / ops.sqrt(self.correction(self.constants["beta2"]))
        return m / self.correction(self.constants["beta1"]) / (root + eps)


class RMSProp(Optimizer):
    """Tieleman and Hinton 2012, epsilon outside the root."""

    @property
    def names(self) -> tuple[str, ...]:  # pyrefly: ignore[bad-override]
        return ("square_avg", "momentum_buffer")[: 2 if self._heavy else 1]

    @property
    def _heavy(self) -> bool:
        return self.constants["momentum"] > 0

    def direction(
        self, g: Any, state: Any, *, eps: Any, momentum: Any, **rest: Any
    ) -> Any:
        square = _lerp(state["square_avg"], g * g, self.constants["rho"])
        update = g / (ops.sqrt(square) + eps)
        if not self._heavy:
            return update
        buffer = state["momentum_buffer"]
        buffer.assign(momentum * buffer + update)
        return buffer


class Adagrad(Optimizer):
    """Duchi et al. 2011, the sum of squares from 0, epsilon outside the root."""

    names = ("sum",)

    def direction(self, g: Any, state: Any, *, eps: Any) -> Any:
        state["sum"].assign_add(g * g)
        return g / (ops.sqrt(state["sum"]) + eps)


class NAdam(Optimizer):
    """Dozat 2016, with the momentum schedule mu_t that Keras's own omits."""

    names = ("exp_avg", "exp_avg_sq")

    def build(self, variables: list[Any]) -> None:
        super().build(variables)
        self.slots["mu_product"] = [
            self.add_variable((), "ones", v.dtype, name="mu_product") for v in variables
        ]

    def direction(
        self, g: Any, state: Any, *, beta1: Any, eps: Any, **rest: Any
    ) -> Any:
        mu, following = self._mu(beta1, 1), self._mu(beta1, 2)
        product = state["mu_product"]
        product.assign(product * mu)
        m = _lerp(state["exp_avg"], g, self.constants["beta1"])
        v = _lerp(state["exp_avg_sq"], g * g, self.constants["beta2"])
        root = ops.sqrt(v / self.correction(self.constants["beta2"])) + eps
        step = (1 - mu) / (1 - product) * g
        return (step + following / (1 - product * following) * m) / root

    def _mu(self, beta1: Any, ahead: int) -> Any:
        decay = self.constants["momentum_decay"] * math.log(0.96)
        decay = ops.convert_to_tensor(decay, self._dtype)
        t = ops.cast(self.iterations + ahead, self._dtype)
        return beta1 * (1 - ops.exp(decay * t) / 2)


class Lion(Optimizer):
    """Chen et al. 2023 (arXiv:2302.06675)."""

    names = ("exp_avg",)

    def direction(self, g: Any, state: Any, *, beta1: Any, **rest: Any) -> Any:
        m = state["exp_avg"]
        sign = ops.sign(beta1 * m + (1 - beta1) * g)
        _lerp(m, g, self.constants["beta2"])
        return sign


_OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": Optimizer,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adam": Adam,
    "adamw": Adam,
    "rmsprop": RMSProp,
    "adagrad": Adagrad,
    "nadam": NAdam,
    "lion": Lion,
}


def optimizer(names: Sequence[Sequence[str]], recipe: Recipe, shapes: Any) -> Optimizer:
    """Return the recipe's optimizer.

    Args:
        names: for each variable, the canonical names of the weights that it holds.
        recipe: with the optimizer and its constants.
        shapes: by canonical name.
    """
    return _OPTIMIZERS[recipe.optimizer](
        recipe.constants,
        [recipe.lr_factor(held[0]) for held in names],
        [recipe.weight_decay * recipe.decays(shapes[held[0]]) for held in names],
        recipe.optimizer in DECOUPLED,
    )
