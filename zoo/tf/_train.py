"""The training step in Keras on TensorFlow: one tf.function, optionally XLA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ..errors import ConfigError
from ..spec.batch import Batch, check_targets
from ..spec.recipe import Recipe
from ._dropout import counted, seeded
from ._layers import BatchNorm, Model, dtype_scope
from ._optimizers import optimizer
from ._parallel import Alone, Replicas
from ._run import loss_function
from ._weights import collect, held, natives, shapes, submodules, trainable

_HALF = {"bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


class Trainer:
    """Trains a model in place, one update at a time.

    `close` restores the dtype policies that the model came with. Raises ConfigError for
    `parallel` with `compile`.
    """

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        loss: str,
        compile: bool = False,
        parallel: bool = False,
    ) -> None:
        if compile and parallel:
            raise ConfigError("Keras cannot do parallel with compile: leave one out.")
        self.model, self.recipe = model, recipe
        self._workers = Replicas() if parallel else Alone()
        self.fewest, self.lead = self._workers.size, self._workers.lead
        self._kind, self._loss = loss, loss_function(loss, recipe.label_smoothing)
        self.variables, names = _unfrozen(model, recipe)
        self._policies = [(m, m.dtype_policy) for m in model._flatten_layers()]
        self._still = [
            m
            for name, m in submodules(model).items()
            if isinstance(m, BatchNorm) and recipe.frozen(f"{name}.running_mean")
        ]
        for m in self._still:
            m.still = True
        self.dtype = model.dtype_policy.variable_dtype
        self._half(True)
        with self._workers.placed(model), dtype_scope(self.dtype):
            self.optimizer = optimizer(names, recipe, shapes(model))
            self.optimizer.build(self.variables)
            self.average = [
                tf.Variable(v.value, trainable=False)
                for v in self.variables
                if recipe.ema is not None
            ]
        self._step = tf.function(
            self._native_step, jit_compile=compile or None, autograph=False
        )

    def step(
        self,
        batches: Sequence[Batch],
        lr: float,
        keys: Sequence[int],
        scale: float = 1.0,
    ) -> tuple[float, bool]:
        """Update the weights by the gradient of the mean loss over all batches."""
        with self._workers.placed(self.model):
            loss, finite = self._step(
                [self._workers.share(b, self._tensor) for b in batches],
                tuple(b.size for b in batches),
                tf.constant(lr, self.dtype),
                tf.constant(keys, tf.uint32),
                tf.constant(scale, self.dtype),
            )
        return float(loss), bool(finite)

    def _tensor(self, array: np.ndarray) -> tf.Tensor:
        kinds = {"f": self.dtype, "i": "int32", "u": "int32"}
        return tf.convert_to_tensor(
            array.astype(kinds.get(array.dtype.kind, array.dtype), copy=False)
        )

    def _native_step(
        self, batches: Any, sizes: tuple[int, ...], lr: Any, keys: Any, scale: Any
    ) -> Any:
        # Keras's functional ops promote to floatx.
        with dtype_scope(self.model.dtype_policy):
            loss, finite, grads = self._workers.run(
                lambda b, k, s: self._backward(b, sizes, k, s), batches, keys, scale
            )
            tf.cond(finite, lambda: self._update(grads, lr), lambda: None)
        return loss, finite

    def _backward(
        self, batches: Any, sizes: tuple[int, ...], keys: Any, scale: Any
    ) -> tuple[Any, Any, list[Any]]:
        """Return loss, whether it (in fp16 also each gradient) is finite, gradients."""
        loss, grads = self._gradients(batches, sizes, keys, scale)
        loss, *grads = self._workers.sum([loss, *grads])
        finite = tf.math.is_finite(loss)
        if self.recipe.precision == "fp16":
            grads = [g / scale for g in grads]
            each = [tf.reduce_all(tf.math.is_finite(g)) for g in grads]
            finite = tf.reduce_all([finite, *each])
        return loss, finite, self._clipped(grads)

    def _gradients(
        self, batches: Any, sizes: tuple[int, ...], keys: Any, scale: Any
    ) -> tuple[Any, list[Any]]:
        kind = counted if self.recipe.deterministic_dropout else seeded
        weights = [v.value for v in self.variables]
        total, sums = tf.zeros((), self.dtype), None
        for i, (xs, targets) in enumerate(batches):
            share = targets.shape[0] / sum(sizes)
            row = self._workers.first_row(sizes[i])
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                with kind(self.model, keys[i], row):
                    outputs = self.model(*xs, training=True)
                shape = tuple(outputs.shape)
                check_targets(self._kind, shape, tuple(targets.shape))
                loss = self._loss(tf.cast(outputs, self.dtype), targets) * share
                scaled = loss * scale
            grads = tape.gradient(
                scaled, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            grads = [tf.convert_to_tensor(g) for g in grads]  # an embedding's is sparse
            sums = grads if sums is None else [a + g for a, g in zip(sums, grads)]
            total += loss
        return total, sums or []

    def _clipped(self, grads: list[Any]) -> list[Any]:
        if (most := self.recipe.clip_value) is not None:
            most = tf.constant(most, self.dtype)
            grads = [tf.clip_by_value(g, -most, most) for g in grads]
        if (longest := self.recipe.clip_norm) is not None:
            # Not tf.clip_by_global_norm, which multiplies by the norm's inverse.
            norm = tf.linalg.global_norm(grads)
            factor = tf.minimum(tf.constant(longest, self.dtype) / norm, 1)
            grads = [g * factor for g in grads]
        return grads

    def _update(self, grads: list[Any], lr: Any) -> None:
        # As Keras's `apply`, which does not work outside the replicas' contexts.
        each = partial(tf.distribute.get_strategy().extended.update, group=False)
        first = ops.equal(self.optimizer.iterations, 0)
        for v, grad in zip(self.variables, grads):
            each(v.value, lambda w, g: self.optimizer.update_step(g, w, lr), (grad,))
        self.optimizer.iterations.assign_add(1)
        if self.recipe.ema is not None:
            rest = tf.constant(1 - self.recipe.ema, self.dtype)
            mix = tf.where(first, tf.ones_like(rest), rest)
            for mean, v in zip(self.average, self.variables):
                each(mean, lambda m, w: m.assign_add(mix * (w - m)), (v.value,))

    def sync(self) -> None:
        """Do nothing: the model is always up to date."""

    def slots(self) -> dict[str, np.ndarray]:
        """Return the optimizer's state: `exp_avg/conv1.weight`, scalars by name."""
        updates = float(self.optimizer.iterations.numpy())
        result = {"step": np.array(updates)}
        slots = {k: list(v) for k, v in self.optimizer.slots.items()}
        for product in slots.pop("mu_product", [])[:1]:
            result["mu_product"] = product.numpy().astype(np.float64)
        if self.average and updates:
            slots["ema"] = self.average
        for slot, values in slots.items():
            arrays = {id(v): s.numpy() for v, s in zip(self.variables, values)}
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
        self.optimizer.iterations.assign(int(slots.get("step", 0)))
        for product in self.optimizer.slots.get("mu_product", []):
            product.assign(slots.get("mu_product", 1.0))
        targets: dict[str, Any] = dict(self.optimizer.slots)
        if self.average and any(k.startswith("ema/") for k in slots):
            targets["ema"] = self.average
        learned, known = trainable(self.model), shapes(self.model)
        for slot, values in targets.items():
            if slot == "mu_product":
                continue
            state = {
                k: slots.get(f"{slot}/{k}", np.zeros(known[k], self.dtype))
                for k in learned
            }
            arrays = {id(v): a for v, a in natives(self.model, state)}
            for v, value in zip(self.variables, values):
                value.assign(np.ascontiguousarray(arrays[id(v)]))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the model averaged weights and full precision while the block runs."""
        self._half(False)
        saved = [v.numpy() for v in self.variables] if self.average else []
        for v, mean in zip(self.variables, self.average):
            v.assign(mean)
        try:
            yield
        finally:
            for v, value in zip(self.variables, saved):
                v.assign(value)
            self._half(True)

    def close(self) -> None:
        """Restore the model's own dtype policies and batch norms."""
        self._half(False)
        for m in self._still:
            m.still = False

    def _half(self, on: bool) -> None:
        """Make the model compute in the recipe's 16 bits, or restore its own dtypes."""
        half = _HALF.get(self.recipe.precision)
        for m, policy in self._policies if half else ():
            m.dtype_policy = keras.DTypePolicy(half) if on else policy


def _unfrozen(
    model: Model, recipe: Recipe
) -> tuple[list[keras.Variable], list[tuple[str, ...]]]:
    """Return the variables to train, and the canonical names that each holds."""
    variables, held_names = [], []
    for variable, names in held(model):
        kinds = {(recipe.frozen(n), recipe.lr_factor(n)) for n in names}
        if len(kinds) > 1:
            raise ConfigError(
                f"Keras holds {' and '.join(names)} in one variable: give them the same"
                " freeze and lr_groups."
            )
        if variable.trainable and not recipe.frozen(names[0]):
            variables.append(variable)
            held_names.append(names)
    return variables, held_names
