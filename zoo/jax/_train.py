"""The training step in Flax: one pure function, jitted, with donated arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from ..spec.batch import Batch, check_targets
from ..spec.recipe import Recipe
from . import _optimizers
from ._dropout import counted, seeded
from ._parallel import Alone, Devices
from ._run import LOSSES, dtype_of
from ._weights import collect, held, natives, shapes, submodules, trainable

_HALF = {"bf16": jnp.bfloat16, "fp16": jnp.float16}
_Parts = Sequence[tuple[tuple[Array, ...], Array]]


class _Carry(NamedTuple):
    """All that a step changes."""

    weights: list[Array]
    statistics: list[Array]
    optimizer: Any
    average: list[Array]  # empty without EMA
    updates: Array


def _loss(kind: str, smoothing: float) -> Callable[[Array, Array], Array]:
    if not smoothing:
        return LOSSES[kind]

    def smoothed(z: Array, t: Array) -> Array:
        targets = jax.nn.one_hot(t, z.shape[-1], dtype=z.dtype)
        targets = optax.smooth_labels(targets, smoothing)
        return optax.softmax_cross_entropy(z, targets).mean()

    return smoothed


class Trainer:
    """Trains a model, one update at a time; `sync` brings the model up to date.

    The step is always compiled.
    """

    fewest = 1

    def __init__(
        self,
        model: nnx.Module,
        recipe: Recipe,
        loss: str,
        compile: bool = True,
        parallel: bool = False,
    ) -> None:
        self.model, self.recipe = model, recipe
        self._kind, self._loss = loss, _loss(loss, recipe.label_smoothing)
        self.dtype = jnp.dtype(dtype_of(model))
        variables = held(model)
        self._learns = [
            isinstance(v, nnx.Param) and not recipe.frozen(names[0])
            for v, names in variables
        ]
        self.variables = [v for (v, _), on in zip(variables, self._learns) if on]
        self.rest = [v for (v, _), on in zip(variables, self._learns) if not on]
        names = [n[0] for (_, n), on in zip(variables, self._learns) if on]
        self.transform = _optimizers.optimizer(names, shapes(model), recipe)
        self._factors = [recipe.lr_factor(n) for n in names]
        self._graph = self._blueprint()
        self._devices = Devices(model) if parallel else Alone()
        self.lead = self._devices.lead
        self.carry = self._devices.everywhere(self._begin())
        self._step = self._devices.jit(self._update)

    def _begin(self) -> _Carry:
        """Return what training starts from, at the model's weights."""
        # Copies, as donated arrays are deleted and the model's may be shared.
        weights = [jnp.array(v.get_value(), copy=True) for v in self.variables]
        return _Carry(
            weights,
            [jnp.array(v.get_value(), copy=True) for v in self.rest],
            self.transform.init(weights),
            [jnp.copy(w) for w in weights] if self.recipe.ema is not None else [],
            jnp.zeros((), jnp.int32),
        )

    def _blueprint(self) -> nnx.Module:
        """Return a copy of the model in training mode; a trace replaces its arrays."""
        model = nnx.clone(self.model)
        model.train()
        for name, m in submodules(model).items():
            if isinstance(m, nnx.BatchNorm) and self.recipe.frozen(
                f"{name}.running_mean"
            ):
                m.use_running_average = True
        if half := _HALF.get(self.recipe.precision):
            for _, node in nnx.iter_graph(model):
                if isinstance(node, nnx.Module) and hasattr(node, "dtype"):
                    # Computes in 16 bits; the weights stay float32.
                    node.dtype = half  # pyrefly: ignore[missing-attribute]
        return model

    def step(
        self,
        batches: Sequence[Batch],
        lr: float,
        keys: Sequence[int],
        scale: float = 1.0,
    ) -> tuple[float, bool]:
        """Update the weights by the gradient of the mean loss over all batches."""
        parts = [
            (tuple(map(self._array, b.inputs)), self._array(b.targets)) for b in batches
        ]
        numbers = np.array([lr, scale], self.dtype)
        self.carry, (loss, finite) = self._step(
            self.carry, parts, numbers, np.asarray(keys, np.uint32)
        )
        return float(loss), bool(finite)

    def _array(self, array: np.ndarray) -> np.ndarray | Array:
        kinds = {"f": self.dtype, "i": np.int32, "u": np.int32}
        dtype = kinds.get(array.dtype.kind, array.dtype)
        return self._devices.spread(array.astype(dtype, copy=False))

    def _update(
        self, carry: _Carry, parts: _Parts, numbers: Array, keys: Array
    ) -> tuple[_Carry, tuple[Array, Array]]:
        lr, scale = numbers
        count = sum(len(targets) for _, targets in parts)
        total, sums, statistics = jnp.zeros((), self.dtype), None, carry.statistics
        for (xs, targets), key in zip(parts, keys):
            share = len(targets) / count
            differentiate = jax.value_and_grad(self._objective, has_aux=True)
            (_, (loss, statistics)), grads = differentiate(
                carry.weights, statistics, xs, targets, key, share, scale
            )
            sums = grads if sums is None else optax.tree.add(sums, grads)
            total += loss
        assert sums is not None
        finite = jnp.isfinite(total)
        if self.recipe.precision == "fp16":
            sums = [g / scale for g in sums]
            each = [jnp.isfinite(g).all() for g in sums]
            finite = jnp.stack([finite, *each]).all()
        carry = carry._replace(statistics=statistics)
        new = jax.lax.cond(finite, self._apply, lambda c, *_: c, carry, sums, lr)
        return new, (total, finite)

    def _objective(
        self,
        weights: list[Array],
        statistics: list[Array],
        xs: tuple[Array, ...],
        targets: Array,
        key: Array,
        share: float,
        scale: Array,
    ) -> tuple[Array, tuple[Array, list[Array]]]:
        model = nnx.clone(self._graph)
        learned, rest = iter(weights), iter(statistics)
        others = []
        for (variable, _), on in zip(held(model), self._learns):
            variable.set_value(next(learned if on else rest))
            if not on:
                others.append(variable)
        if half := _HALF.get(self.recipe.precision):
            real = jnp.issubdtype
            xs = tuple(x.astype(half) if real(x.dtype, jnp.floating) else x for x in xs)
        kind = counted if self.recipe.deterministic_dropout else seeded
        with kind(model, key):
            outputs = model(*xs)
        check_targets(self._kind, outputs.shape, targets.shape)
        loss = self._loss(outputs.astype(self.dtype), targets) * share
        return loss * scale, (loss, [v.get_value() for v in others])

    def _apply(self, carry: _Carry, grads: list[Array], lr: Array) -> _Carry:
        if (most := self.recipe.clip_value) is not None:
            grads = [jnp.clip(g, -most, most) for g in grads]
        if (longest := self.recipe.clip_norm) is not None:
            factor = jnp.minimum(longest / optax.global_norm(grads), 1)
            grads = [g * factor for g in grads]
        rates = [lr * f for f in self._factors]
        weights, state = _optimizers.step(
            self.transform, grads, carry.optimizer, carry.weights, rates
        )
        # The first update starts the average.
        mix = jnp.where(carry.updates > 0, 1 - (self.recipe.ema or 0), 1)
        mix = mix.astype(self.dtype)
        average = [a + mix * (w - a) for a, w in zip(carry.average, weights)]
        return _Carry(weights, carry.statistics, state, average, carry.updates + 1)

    def sync(self) -> None:
        """Give the model the trained arrays, which are valid until the next step."""
        self._put(self.carry.weights)
        for variable, value in zip(self.rest, self.carry.statistics):
            variable.set_value(self._devices.local(value))

    def _put(self, weights: Sequence[Array]) -> None:
        for variable, value in zip(self.variables, weights):
            variable.set_value(self._devices.local(value))

    def slots(self) -> dict[str, np.ndarray]:
        """Return the optimizer's state: `exp_avg/conv1.weight`, scalars by name."""
        held_fields = _optimizers.fields(self.carry.optimizer)
        updates = float(self.carry.updates)
        result = {"step": np.array(updates)}
        if "mu_product" in held_fields:
            result["mu_product"] = np.asarray(held_fields["mu_product"], np.float64)
        own = _optimizers.SLOTS[self.recipe.optimizer]
        slots = {k: held_fields[f] for k, f in own.items() if f in held_fields}
        if self.carry.average and updates:
            slots["ema"] = self.carry.average
        for slot, values in slots.items():
            arrays = {id(v): np.asarray(s) for v, s in zip(self.variables, values)}
            state = collect(
                self.model,
                lambda v, a=arrays: a.get(id(v), np.zeros(v.shape, np.float32)),
                trainable=True,
            )
            result |= {
                f"{slot}/{k}": a for k, a in state.items() if not self.recipe.frozen(k)
            }
        return {k: np.array(a) for k, a in result.items()}

    def restore(self, slots: Mapping[str, np.ndarray]) -> None:
        """Continue from the model's weights and from the `slots` of any backend."""
        carry = self._begin()
        old = _optimizers.fields(carry.optimizer)
        new: dict[str, Any] = {
            field: jnp.asarray(slots[name], old[field].dtype)
            for name, field in _optimizers.SCALARS.items()
            if name in slots and field in old
        }
        for slot, field in _optimizers.SLOTS[self.recipe.optimizer].items():
            if field in old:
                new[field] = self._natives(slot, slots)
        state = _optimizers.with_fields(carry.optimizer, new)
        updates = jnp.array(slots.get("step", 0), jnp.int32)
        carry = carry._replace(optimizer=state, updates=updates)
        if carry.average and any(k.startswith("ema/") for k in slots):
            carry = carry._replace(average=self._natives("ema", slots))
        self.carry = self._devices.everywhere(carry)

    def _natives(self, slot: str, slots: Mapping[str, np.ndarray]) -> list[Array]:
        learned, known = trainable(self.model), shapes(self.model)
        state = {
            k: slots.get(f"{slot}/{k}", np.zeros(known[k], self.dtype)) for k in learned
        }
        arrays = {id(v): a for v, a in natives(self.model, state)}
        return [jnp.array(arrays[id(v)], self.dtype) for v in self.variables]

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the model the averaged weights while the block runs."""
        self._put(self.carry.average)
        try:
            yield
        finally:
            self._put(self.carry.weights)

    def close(self) -> None:
        """Do nothing: the model was not changed."""
