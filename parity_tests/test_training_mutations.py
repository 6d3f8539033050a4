"""The proof of the training proofs: real mistakes, planted in a backend, are caught.

Each mistake takes the place of one function, which it gets as `real`. The proof it is
held against passes without it, fails with it, and names rung and backend. conftest.py
prints the score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache, wraps
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tensorflow as tf
import torch
from keras import layers, ops
from torch import nn
from torch.optim import SGD, lr_scheduler

import zoo
import zoo.data.batches
import zoo.jax._dropout as jax_dropout
import zoo.jax._layers as jax_layers
import zoo.jax._optimizers as jax_optimizers
import zoo.jax._train as jax_train
import zoo.tf
import zoo.tf._dropout as tf_dropout
import zoo.tf._layers as tf_layers
import zoo.tf._optimizers as tf_optimizers
import zoo.tf._train as tf_train
import zoo.torch._dropout as torch_dropout
import zoo.torch._optimizers as torch_optimizers
import zoo.torch._train as torch_train
import zoo.training.callbacks
import zoo.training.folder
import zoo.training.loop
import zoo.training.progress
from parity_tests.matrix import MODELS
from zoo.errors import TrainingDiverged
from zoo.parity.tolerance import TRAJECTORY64
from zoo.parity.trajectory import TRAINING_RUNGS
from zoo.spec import masks
from zoo.spec.batch import Batch
from zoo.spec.recipe import Recipe

STEPS = 12
CONFIGS = {
    **MODELS,
    "square": MODELS["mlp"].override(hidden=(64,)),
    "dropout": MODELS["mlp"].override(hidden=(32, 16), dropout=0.2),
    "tokens": zoo.config("transformer_encoder", layers=1, dropout=0.2).small(),
}


class Found(NamedTuple):
    """What a proof found wrong."""

    proof: str  # a rung of zoo.parity.trajectory, or a key of PROOFS
    backend: str
    where: str


class Mistake(NamedTuple):
    """A mistake: where it is planted, and the proof that must fail."""

    backend: str
    proof: str
    recipe: Recipe
    target: Any  # module, class or table
    name: str
    wrong: Callable[..., Any]
    model: str
    where: str


MISTAKES: dict[str, Mistake] = {}


def mistake(
    backend: str,
    proof: str,
    recipe: Recipe,
    target: Any,
    name: str,
    model: str = "mlp",
    where: str = "",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register what is wrong; it is called as the real function is, after that."""

    def register(wrong: Callable[..., Any]) -> Callable[..., Any]:
        title = f"{backend} {wrong.__name__}".replace("_", "-").replace(" ", ": ")
        assert title not in MISTAKES
        new = Mistake(backend, proof, recipe, target, name, wrong, model, where)
        MISTAKES[title] = new
        return wrong

    return register


# The proofs


def climb(backend: str, recipe: Recipe, model: str) -> Found | None:
    """Walk the ladder's training rungs; the backend is not the reference."""
    report = zoo.check(
        CONFIGS[model],
        backends=(other(backend), backend),
        rungs=("names",),
        dtypes=("float64",),
        batch=8,
        train=recipe,
        steps=STEPS,
    )
    found = report.first_divergence
    assert report.ok == (found is None), str(report)
    return found and Found(found.rung, found.backend, found.where)


def other(backend: str) -> str:
    return "tf" if backend == "torch" else "torch"


def fitted(
    backend: str, recipe: Recipe, model: str, dtype: str = "float64", **options: Any
) -> zoo.History:
    """Train on the digits."""
    config = CONFIGS[model].override(num_classes=10)
    return zoo.fit(zoo.build(config, backend, dtype=dtype), "digits", recipe, **options)


correct = cache(fitted)  # called before anything is planted


def same_fit(backend: str, recipe: Recipe, model: str) -> Found | None:
    """Fit in two backends: losses and evaluations agree."""
    wanted = correct(other(backend), recipe, model)
    rows = fitted(backend, recipe, model).rows
    if [r["step"] for r in rows] != [r["step"] for r in wanted.rows]:
        return Found("fit", backend, "number of steps")
    for ours, theirs in zip(rows, wanted.rows):
        if not abs(ours["loss"] / theirs["loss"] - 1) < TRAJECTORY64:
            return Found("fit", backend, f"{ours['split']} loss of step {ours['step']}")
    return None


# Measured in test_training.py: mean and largest distance from the losses in float32.
BANDS = {"bf16": (1e-2, 1e-1), "fp16": (2e-3, 2e-2)}


def within_band(backend: str, recipe: Recipe, model: str) -> Found | None:
    """Fit in half precision: the losses stay near those in float32."""
    full = correct(backend, recipe.override(precision="float32"), model, "float32")
    try:
        half = fitted(backend, recipe, model, "float32")
    except TrainingDiverged as error:
        return Found("band", backend, str(error))
    gaps = np.abs(half.losses - full.losses)
    mean, most = BANDS[recipe.precision]
    inside = gaps.mean() < mean and gaps.max() < most
    return None if inside else Found("band", backend, f"mean {gaps.mean():.1e}")


class _Interrupt(zoo.Callback):
    def trained(self, run: Any, row: Any) -> None:
        if row["step"] == 6:
            raise KeyboardInterrupt


def goes_on(backend: str, recipe: Recipe, model: str) -> Found | None:
    """Interrupt a run and resume it from its files: every row is the same."""
    dtype = "float32" if recipe.precision == "fp16" else "float64"
    whole = fitted(backend, recipe, model, dtype)
    with TemporaryDirectory() as folder:
        with pytest.raises(KeyboardInterrupt):
            fitted(
                *(backend, recipe, model, dtype),
                out=folder,
                checkpoint_every=5,
                callbacks=[_Interrupt()],
            )
        _, history = zoo.resume(folder, backend)
    rounding = 1e-12 if dtype == "float64" else 1e-5
    for ours, theirs in zip(history.rows, whole.rows):
        if not alike(ours, theirs, rounding):
            return Found("goes on", backend, f"step {theirs['step']}: {ours}")
    if len(history.rows) != len(whole.rows) or history.stopped != whole.stopped:
        return Found("goes on", backend, f"the end: {history.stopped}")
    return None


def alike(ours: dict[str, Any], theirs: dict[str, Any], rounding: float) -> bool:
    """Return whether two rows are equal, their numbers to rounding."""
    return ours.keys() == theirs.keys() and all(
        ours[k] == (v if isinstance(v, str) else pytest.approx(v, rel=rounding))
        for k, v in theirs.items()
    )


# PyTorch's own schedules; our loop is shared, so no backend can witness against it.
SCHEDULES: dict[str, Callable[[Any, Recipe], Any]] = {
    "cosine": lambda o, r: lr_scheduler.CosineAnnealingLR(o, r.steps, r.min_lr),
    "step": lambda o, r: lr_scheduler.StepLR(o, r.decay_every, r.gamma),
    "one_cycle": lambda o, r: lr_scheduler.OneCycleLR(
        o, r.lr, total_steps=r.steps, cycle_momentum=False
    ),
    "plateau": lambda o, r: lr_scheduler.ReduceLROnPlateau(
        *(o, "min", r.gamma, r.plateau_patience, r.min_delta, "abs"), eps=0
    ),
}


def same_rates(backend: str, recipe: Recipe, model: str) -> Found | None:
    """Fit: the learning rates are those of PyTorch's own schedule."""
    sgd = SGD([torch.zeros((), requires_grad=True)], lr=recipe.lr)
    schedule = SCHEDULES[recipe.schedule](sgd, recipe)
    for row in fitted(backend, recipe, model).rows:
        if row["split"] == "test" and recipe.schedule == "plateau":
            schedule.step(row["loss"])
        elif row["split"] == "train":
            if abs(row["lr"] - sgd.param_groups[0]["lr"]) > 1e-12:
                return Found("rates", backend, f"rate of step {row['step']}")
            sgd.step()
            if recipe.schedule != "plateau" and row["step"] < recipe.steps:
                schedule.step()
    return None


PROOFS = {
    **dict.fromkeys(TRAINING_RUNGS, climb),
    "fit": same_fit,
    "band": within_band,
    "goes on": goes_on,
    "rates": same_rates,
}


@cache
def control(proof: Callable[..., Found | None], *case: Any) -> Found | None:
    """Return what the proof finds where nothing is planted."""
    return proof(*case)


# Optimizers

ADAM = Recipe(optimizer="adam", lr=2e-3)
DECAYED = Recipe(optimizer="adam", lr=2e-3, weight_decay=0.05)
ADAMW = Recipe(
    optimizer="adamw",
    lr=2e-3,
    weight_decay=0.05,
    decay_all=False,
    schedule="warmup_cosine",
)
MOMENTUM = Recipe(
    optimizer="momentum", lr=0.01, schedule="warmup_cosine", weight_decay=0.01
)
NESTEROV = Recipe(optimizer="nesterov", lr=0.01)
RMSPROP = Recipe(optimizer="rmsprop", lr=2e-3)
ADAGRAD = Recipe(optimizer="adagrad", lr=0.01)
NADAM = Recipe(optimizer="nadam", lr=2e-3)
LION = Recipe(optimizer="lion", lr=1e-3, weight_decay=0.05)


@mistake("tf", "one step", ADAM, tf_optimizers._OPTIMIZERS, "adam")
def adam_with_keras_epsilon(real, constants, *rest):
    return real({**constants, "eps": 1e-7}, *rest)


@mistake("tf", "one step", ADAM, tf_optimizers.Adam, "direction")
def adam_epsilon_before_correction(real, self, g, state, *, eps, **betas):
    real(self, g, state, eps=eps, **betas)
    first, second = (self.correction(self.constants[b]) for b in betas)
    m, v = state["exp_avg"], state["exp_avg_sq"]
    return m * ops.sqrt(second) / first / (ops.sqrt(v) + eps)  # Keras's own


@mistake("tf", "one step", ADAM, tf_optimizers.Optimizer, "correction")
def adam_first_moment_uncorrected(real, self, decay):
    return ops.ones((), self._dtype) if decay == 0.9 else real(self, decay)


@mistake("jax", "one step", ADAM, jax_optimizers, "_correction")
def adam_second_moment_uncorrected(real, decay, count, dtype):
    return np.ones((), dtype) if decay == 0.999 else real(decay, count, dtype)


@mistake("jax", "one step", ADAM, jax_optimizers, "_correction")
def adam_correction_one_step_ahead(real, decay, count, dtype):
    return real(decay, count + 1, dtype)


@mistake("torch", "one step", ADAM, torch_optimizers, "_betas")
def adam_beta2(real, constants):
    return constants["beta1"], 0.99


@mistake("torch", "one step", ADAMW, torch_optimizers._OPTIMIZERS, "adamw")
def adamw_with_coupled_decay(real, groups, constants):
    return torch_optimizers._OPTIMIZERS["adam"](groups, constants)


@mistake("tf", "one step", DECAYED, tf_optimizers._OPTIMIZERS, "adam")
def adam_with_decoupled_decay(real, constants, factors, decays, decoupled):
    return real(constants, factors, decays, True)


@mistake("jax", "steps", ADAMW, optax, "add_decayed_weights")
def decays_biases_too(real, decay, mask=None):
    return real(decay)


@mistake("tf", "steps", DECAYED, tf_train, "optimizer")
def decays_no_biases(real, names, recipe, shapes):
    return real(names, recipe.override(decay_all=False), shapes)


@mistake("tf", "one step", ADAMW, tf_optimizers.Optimizer, "update_step")
def decay_not_times_the_rate(real, self, gradient, variable, learning_rate):
    decay = self.decays[self._get_variable_index(variable)]
    lr = ops.cast(learning_rate, variable.dtype)
    variable.assign(variable * (1 - decay) / (1 - lr * decay))
    real(self, gradient, variable, learning_rate)


@mistake("jax", "steps", ADAMW, jax_optimizers, "step")
def decay_not_on_schedule(real, transform, grads, state, weights, rates):
    peak, decay = ADAMW.lr, ADAMW.weight_decay
    decayed = [
        w * (1 - peak * decay) / (1 - r * decay) if w.ndim > 1 else w
        for w, r in zip(weights, rates)
    ]
    return real(transform, grads, state, decayed, rates)


@mistake("torch", "steps", MOMENTUM, torch_optimizers, "_sgd")
def momentum_dampened(real, groups, momentum=0.0, nesterov=False):
    return SGD(groups, lr=0.0, momentum=momentum, dampening=0.5)


@mistake("tf", "one step", MOMENTUM, tf_optimizers.Momentum, "direction")
def momentum_as_a_mean(real, self, g, state, *, momentum):
    return tf_optimizers._lerp(state["momentum_buffer"], g, momentum)


@mistake("torch", "steps", MOMENTUM, torch_train.Trainer, "step")
def rate_inside_the_velocity(real, self, batches, lr, keys, scale=1.0):
    for state in self.optimizer.state.values():
        state["momentum_buffer"].mul_(self.before / lr)
    self.before = lr  # a velocity of old rates, as Keras has it
    return real(self, batches, lr, keys, scale)


@mistake("jax", "one step", NESTEROV, jax_optimizers._OPTIMIZERS, "nesterov")
def nesterov_as_plain_momentum(real, constants):
    return jax_optimizers._OPTIMIZERS["momentum"](constants)


@mistake("tf", "one step", NESTEROV, tf_optimizers.Nesterov, "direction")
def nesterov_with_the_old_buffer(real, self, g, state, *, momentum):
    old = state["momentum_buffer"] + 0.0
    real(self, g, state, momentum=momentum)
    return g + momentum * old


@mistake("jax", "one step", RMSPROP, jax_optimizers._OPTIMIZERS, "rmsprop")
def rmsprop_epsilon_inside_the_root(real, constants):
    return optax.scale_by_rms(constants["rho"], constants["eps"], 0.0)  # Optax's own


@mistake("tf", "one step", RMSPROP, tf_optimizers._OPTIMIZERS, "rmsprop")
def rmsprop_with_keras_rho(real, constants, *rest):
    return real({**constants, "rho": 0.9}, *rest)


@mistake("jax", "one step", ADAGRAD, jax_optimizers._OPTIMIZERS, "adagrad")
def adagrad_from_a_tenth(real, constants):
    return optax.scale_by_rss(0.1, constants["eps"])  # Optax's own


@mistake("tf", "one step", NADAM, tf_optimizers.NAdam, "_mu")
def nadam_without_its_schedule(real, self, beta1, ahead):
    return beta1  # Keras's own


@mistake("jax", "one step", LION, jax_optimizers._OPTIMIZERS, "lion")
def lion_betas_swapped(real, constants):
    return optax.scale_by_lion(constants["beta2"], constants["beta1"])


@mistake("tf", "steps", LION, tf_optimizers.Lion, "direction")
def lion_by_the_new_moment(real, self, g, state, *, beta1, beta2):
    return ops.sign(tf_optimizers._lerp(state["exp_avg"], g, beta2))


@mistake("torch", "one step", LION, torch_optimizers.Lion, "step")
def lion_with_coupled_decay(real, self):
    with torch.no_grad():
        for group in self.param_groups:
            decay, lr = group["weight_decay"], group["lr"]
            for p in group["params"]:
                p.grad.add_(p, alpha=decay)
                p.div_(1 - lr * decay)  # which `real` takes away again
    return real(self)


# Schedule, groups, clipping

GROUPS = Recipe(optimizer="sgd", lr=0.05, lr_groups=(("head.*", 10.0),))
FROZEN = Recipe(optimizer="adamw", weight_decay=0.05, freeze=("linears.0.*",))
STILL = Recipe(optimizer="sgd", lr=0.05, freeze=("norms.0.*",))
CLIPPED = MOMENTUM.override(clip_norm=0.1)
CUT = Recipe(optimizer="sgd", lr=0.05, clip_norm=0.3, clip_value=0.02)


@mistake("tf", "steps", MOMENTUM, tf_train.Trainer, "step")
def rate_of_the_next_step(real, self, batches, lr, keys, scale=1.0):
    step = min(int(self.optimizer.iterations) + 1, STEPS - 1)
    return real(self, batches, MOMENTUM.curve(STEPS)[step], keys, scale)


@mistake("jax", "steps", MOMENTUM, jax_train.Trainer, "step")
def rate_of_the_step_before(real, self, batches, lr, keys, scale=1.0):
    step = max(int(self.carry.updates) - 1, 0)
    return real(self, batches, MOMENTUM.curve(STEPS)[step], keys, scale)


@mistake("torch", "one step", GROUPS, torch_train, "optimizer")
def groups_ignored(real, weights, recipe):
    return real(weights, recipe.override(lr_groups=()))


@mistake("tf", "one step", FROZEN, tf_train, "_unfrozen", where="linears.0")
def frozen_weights_learn(real, model, recipe):
    return real(model, recipe.override(freeze=()))


@mistake("torch", "one step", FROZEN, torch_train.Trainer, "_update", where="linears.0")
def frozen_weights_decay(real, self, scale):
    for name in self._learned.keys() - self.weights.keys():
        self._learned[name].data.mul_(1 - FROZEN.lr * FROZEN.weight_decay)
    return real(self, scale)


@mistake("torch", "one step", STILL, torch_train.Trainer, "__init__", "cnn")
def frozen_batch_norm_moves(real, self, model, *rest, **options):
    real(self, model, *rest, **options)
    model.train()


@mistake("torch", "one step", CLIPPED, torch_train.Trainer, "_update")
def clips_after_the_step(real, self, scale):
    self._clip = lambda weights, grads: None
    done = real(self, scale)
    del self._clip
    self._clip(list(self.weights.values()), [p.grad for p in self.weights.values()])
    return done


@mistake("torch", "one step", CLIPPED, torch_train.Trainer, "_clip")
def clips_by_the_norm_and_a_millionth(real, self, weights, grads):
    nn.utils.clip_grad_norm_(weights, self.recipe.clip_norm)  # PyTorch's own


@mistake("torch", "one step", CLIPPED, torch_train.Trainer, "_clip")
def clips_the_decay_too(real, self, weights, grads):
    torch._foreach_add_(grads, weights, alpha=self.recipe.weight_decay)
    real(self, weights, grads)
    torch._foreach_add_(grads, weights, alpha=-self.recipe.weight_decay)


@mistake("tf", "one step", CLIPPED, tf_train.Trainer, "_clipped")
def clips_each_tensor(real, self, grads):  # Keras's own clipnorm
    return [tf.clip_by_norm(g, self.recipe.clip_norm) for g in grads]


@mistake("jax", "one step", CUT, jax_train.Trainer, "_apply")
def clips_values_after_the_norm(real, self, carry, grads, lr):
    factor = jnp.minimum(self.recipe.clip_norm / optax.global_norm(grads), 1)
    return real(self, carry, [g * factor for g in grads], lr)


# Averages, losses, batch norm, dropout

AVERAGED = Recipe(optimizer="sgd", lr=0.05, ema=0.9)
SMOOTHED = Recipe(optimizer="sgd", lr=0.05, label_smoothing=0.1)
PLAIN = Recipe(optimizer="sgd", lr=0.05)
DROPPED = Recipe(optimizer="sgd", lr=0.05, deterministic_dropout=True)


@mistake("torch", "one step", AVERAGED, torch_train.Trainer, "_update", where="ema/")
def averages_from_the_start(real, self, scale):
    if self.average is None:
        self.average = {n: p.detach().clone() for n, p in self.weights.items()}
    return real(self, scale)


@mistake("tf", "steps", AVERAGED, tf_train.Trainer, "_update", where="ema/")
def averages_with_a_warm_up(real, self, *grads_and_rate):
    real(self, *grads_and_rate)
    t = ops.cast(self.optimizer.iterations, self.dtype)  # as TensorFlow's num_updates
    decay = ops.minimum(t / (9 + t), self.recipe.ema)
    for mean, v in zip(self.average, self.variables):
        # undo the right decay
        before = (mean - (1 - self.recipe.ema) * v.value) / self.recipe.ema
        mean.assign(tf.where(t > 1, decay * before + (1 - decay) * v.value, v.value))


@mistake("jax", "one step", SMOOTHED, optax, "smooth_labels")
def smooths_over_the_others_alone(real, labels, alpha):
    return labels * (1 - alpha) + (1 - labels) * alpha / (labels.shape[-1] - 1)


@mistake("torch", "one step", PLAIN, torch_train.Trainer, "__init__", "cnn")
def trains_in_eval_mode(real, self, model, *rest, **options):
    real(self, model, *rest, **options)
    model.eval()


@mistake("torch", "one step", PLAIN, torch_train.Trainer, "step", "cnn", "running_")
def statistics_move_twice(real, self, batches, *rest):
    with torch.no_grad():  # a forward pass too many, for the loss to print
        self.model(*(torch_train._native(x, self.model) for x in batches[0].inputs))
    return real(self, batches, *rest)


@mistake("tf", "one step", PLAIN, tf_layers.BatchNorm, "call", "cnn", "running_var")
def running_variance_biased(real, self, *args, **kwargs):
    return layers.BatchNormalization.call(self, *args, **kwargs)


@mistake("jax", "one step", PLAIN, jax_layers.BatchNorm, "_move", "cnn", "running_")
def running_momentum_inverted(real, self, running, new):
    self.momentum = 1 - self.momentum
    real(self, running, new)
    self.momentum = 1 - self.momentum


@mistake("torch", "one step", DROPPED, torch_dropout, "_keep", "tokens")
def masks_in_another_layout(real, x, key, first_row, rate):
    if x.ndim < 3:
        return real(x, key, first_row, rate)
    return real(x.transpose(1, 2), key, first_row, rate).transpose(1, 2)


@mistake("jax", "one step", DROPPED, jax_dropout, "salt", "dropout")
def masks_without_the_layer_name(real, name):
    return 0


@mistake("jax", "one step", DROPPED, jax_dropout, "Counter", "dropout")
def masks_alike_at_every_call(real):
    class Deaf(Counter):
        def __setitem__(self, key, value):
            pass

    return Deaf()


@mistake("tf", "steps", DROPPED, tf_train.Trainer, "step", "dropout")
def masks_alike_at_every_step(real, self, batches, lr, keys, scale=1.0):
    return real(self, batches, lr, [masks.step_key(0, 1)], scale)


@mistake("tf", "one step", DROPPED, tf_dropout, "threshold", "dropout")
def rate_is_what_stays(real, rate):
    return real(1 - rate)


@mistake("torch", "one step", DROPPED, torch_dropout._Drop, "__call__", "dropout")
def what_stays_is_not_scaled(real, self, x, p, training):
    return real(self, x, p, training) * (1 - p)


@mistake("torch", "one step", DROPPED, torch_train, "counted", "dropout")
def masks_of_pytorch(real, model, *numbers):
    return torch_train.seeded(model, *numbers)


# What is carried over


def without(slots, start):
    return {k: v for k, v in slots.items() if not k.startswith(start)}


@mistake("torch", "resume elsewhere", MOMENTUM, torch_train.Trainer, "restore")
def momentum_not_restored(real, self, slots):
    real(self, without(slots, "momentum_buffer"))


@mistake("jax", "resume elsewhere", ADAM, jax_train.Trainer, "restore")
def squares_not_restored(real, self, slots):
    real(self, without(slots, "exp_avg_sq"))


@mistake("tf", "resume elsewhere", ADAM, tf_train.Trainer, "restore")
def step_count_not_restored(real, self, slots):
    real(self, without(slots, "step"))


@mistake("jax", "resume elsewhere", NADAM, jax_train.Trainer, "restore")
def mu_product_not_restored(real, self, slots):
    real(self, without(slots, "mu_product"))


@mistake("torch", "resume elsewhere", AVERAGED, torch_train.Trainer, "restore")
def average_not_restored(real, self, slots):
    real(self, without(slots, "ema/"))


@mistake("tf", "resume elsewhere", PLAIN, zoo.tf, "write", "cnn")
def statistics_not_restored(real, model, state):
    real(model, {k: v for k, v in state.items() if "running_" not in k})


@mistake("tf", "resume elsewhere", MOMENTUM, tf_train.Trainer, "restore", "square")
def moments_transposed(real, self, slots):
    real(self, {k: v.T if v.shape == (64, 64) else v for k, v in slots.items()})


@mistake("jax", "resume elsewhere", ADAM, jax_train.Trainer, "restore")
def moments_in_single_precision(real, self, slots):
    real(self, {k: v.astype(np.float32) for k, v in slots.items()})


# A whole fit in two backends

FIT = Recipe(
    optimizer="momentum", lr=0.05, batch_size=480, steps=5, ema=0.9, evaluate_every=2
)
HALVES = Recipe(optimizer="sgd", lr=0.1, batch_size=480, steps=2, accumulate=2)
CROPPED = FIT.override(augment=("crop",), steps=2)
PARTS = Recipe(
    optimizer="sgd",
    lr=0.1,
    batch_size=32,
    steps=3,
    accumulate=3,
    deterministic_dropout=True,
)


@mistake("tf", "fit", FIT, zoo.training.loop, "Batches")
def shuffles_by_another_seed(real, split, size, *, seed, **options):
    return real(split, size, seed=seed + 1, **options)


@mistake("torch", "fit", FIT, zoo.data.batches.Batches, "_order", where="step 4")
def shuffles_once_for_all_epochs(real, self, epoch):
    return real(self, 0)


@mistake("tf", "fit", FIT, zoo.training.loop, "Batches", where="step 3")
def drops_the_last_batch(real, split, size, **options):
    batches = real(split, size, **options)
    batches.steps_per_epoch = len(split) // size
    return batches


@mistake("tf", "fit", CROPPED, zoo.data.batches, "augment", "cnn")
def augments_by_another_seed(real, batch, names, seed, step):
    return real(batch, names, seed + 1, step)


@mistake("jax", "fit", PARTS, jax_train.Trainer, "_apply")
def parts_add_up_to_a_sum(real, self, carry, grads, lr):
    return real(self, carry, [g * PARTS.accumulate for g in grads], lr)


@mistake("torch", "fit", PARTS, torch_train.Trainer, "step")
def parts_weigh_alike(real, self, batches, *rest):
    class Even(Batch):
        size = 1

    return real(self, [Even(*b) for b in batches], *rest)


@mistake("tf", "fit", PARTS, tf_train.Trainer, "step", "dropout")
def parts_share_their_masks(real, self, batches, lr, keys, scale=1.0):
    return real(self, batches, lr, [keys[0]] * len(keys), scale)


@mistake("jax", "fit", HALVES, jax_train.Trainer, "_objective", "cnn", "test")
def statistics_of_the_last_part_alone(real, self, weights, statistics, *rest):
    vars(self).setdefault("began", statistics)  # the step is traced once
    return real(self, weights, self.began, *rest)


@mistake("torch", "fit", FIT, torch_train.Trainer, "averaged", where="test")
@contextmanager
def evaluates_the_latest_weights(real, self):
    yield


@mistake("tf", "fit", FIT, tf_train.Trainer, "averaged", where="train")
@contextmanager
def trains_on_from_the_average(real, self):
    for v, mean in zip(self.variables, self.average):
        v.assign(mean)
    yield


# Half precision

HALF = Recipe(optimizer="momentum", lr=0.02, batch_size=64, steps=40, precision="fp16")
BRAIN = HALF.override(precision="bf16", lr=2e-3)
CLIPPED_HALF = HALF.override(clip_norm=1.0)


@mistake("torch", "band", HALF, torch, "_foreach_div_")
def loss_scale_not_divided_out(real, tensors, scale):
    pass


@mistake("torch", "band", CLIPPED_HALF, torch_train.Trainer, "_update")
def clips_before_unscaling(real, self, scale):
    weights = list(self.weights.values())
    self._clip(weights, [p.grad for p in weights])
    return real(self, scale)


@mistake("torch", "band", BRAIN, torch_train.Trainer, "_update")
def weights_kept_in_16_bits(real, self, scale):
    done = real(self, scale)
    self._put({n: p.bfloat16() for n, p in self.weights.items()})
    return done


# A run that is interrupted and goes on

GO_ON = Recipe(
    optimizer="adamw",
    lr=5e-3,
    schedule="plateau",
    plateau_patience=2,
    min_delta=10.0,  # no evaluation after the first is an improvement
    patience=11,
    ema=0.8,
    batch_size=480,
    steps=14,
    evaluate_every=1,
    deterministic_dropout=True,
)
# of so few examples the scaled gradient overflows
OVERFLOWS = Recipe(optimizer="sgd", lr=0.01, precision="fp16", steps=8, batch_size=1)


@mistake("torch", "goes on", GO_ON, zoo.data.batches.Batches, "stream")
def resumes_one_batch_later(real, self, first=0, stop=None):
    later = first > 0
    return real(self, first + later, stop + later)


@mistake("torch", "goes on", GO_ON, zoo.data.batches.Batches, "stream")
def resumes_with_the_first_batch(real, self, first=0, stop=None):
    return real(self, 0, stop - first)


@mistake("torch", "goes on", GO_ON, zoo.training.loop.Loop, "_restore")
def plateau_forgotten(real, self, checkpoint):
    real(self, checkpoint)
    plateau = self.progress.plateau
    plateau.value, plateau.bad = None, 0


@mistake("torch", "goes on", GO_ON, zoo.training.loop.Loop, "_restore")
def decay_of_the_rate_forgotten(real, self, checkpoint):
    real(self, checkpoint)
    self.progress.factor = 1.0


@mistake("torch", "goes on", GO_ON, zoo.training.callbacks.EarlyStopping, "restore")
def early_stopping_forgotten(real, self, state):
    pass


@mistake("torch", "goes on", GO_ON, zoo.training.loop.Loop, "_restore", "dropout")
def masks_begin_anew(real, self, checkpoint):
    real(self, checkpoint)
    step = self.trainer.step

    def shifted(batches, lr, keys, scale=1.0):
        keys = [masks.step_key(0, self.run.step + 1 - checkpoint.progress["step"])]
        return step(batches, lr, keys, scale)

    self.trainer.step = shifted


@mistake("torch", "goes on", GO_ON, zoo.training.loop.Loop, "_save")
def saves_the_averaged_weights(real, self):
    with self.trainer.averaged():
        real(self)


@mistake("torch", "goes on", GO_ON, zoo.training.folder, "write_safetensors")
def saves_moments_in_single_precision(real, arrays, *rest):
    single = {k: v.astype(np.float32) for k, v in arrays.items()}
    return real(single, *rest)


@mistake(
    "torch", "goes on", GO_ON, zoo.training.folder.RunFolder, "rewind", where="step 6"
)
def rows_of_lost_steps_stay(real, self, step):
    return self.rows()


@mistake("torch", "goes on", OVERFLOWS, zoo.training.loop.Loop, "_restore")
def loss_scale_forgotten(real, self, checkpoint):
    real(self, checkpoint)
    self.progress.scale.value = 65536.0


# The rates of a fit, which all backends share

RATES = Recipe(optimizer="sgd", lr=0.1, batch_size=480, steps=9, evaluate_every=1)
COSINE = RATES.override(schedule="cosine")
CYCLE = RATES.override(schedule="one_cycle")
STAIRS = RATES.override(schedule="step", decay_every=3)
PLATEAU = RATES.override(schedule="plateau", plateau_patience=1, min_delta=10.0)


@mistake("torch", "rates", COSINE, Recipe, "curve", where="step 1")
def cosine_one_step_ahead(real, self, steps):
    return real(self, steps + 1)[1:]


@mistake("torch", "rates", CYCLE, Recipe, "curve")
def cycle_one_step_longer(real, self, steps):
    return real(self, steps + 1)[:-1]


@mistake("torch", "rates", STAIRS, Recipe, "curve", where="step 3")
def stair_one_step_early(real, self, steps):
    return real(self, steps + 1)[1:]


@mistake("torch", "rates", PLATEAU, zoo.training.progress.Best, "improved")
def plateau_one_evaluation_early(real, self, row):
    better = real(self, row)
    self.bad += self.bad == 1
    return better


@pytest.mark.parametrize("name", MISTAKES)
def test_planted_training_mistake_is_caught(name, monkeypatch):
    mistake = MISTAKES[name]
    prove = PROOFS[mistake.proof]
    case = mistake.backend, mistake.recipe, mistake.model
    assert control(prove, *case) is None
    calls = plant(mistake, monkeypatch)
    found = prove(*case)
    monkeypatch.undo()
    assert calls, f"{mistake.name} was never called"
    assert found is not None, f"{name} was not caught"
    assert found[:2] == (mistake.proof, mistake.backend), found
    assert mistake.where in found.where, found


def plant(mistake: Mistake, patch: pytest.MonkeyPatch) -> list[str]:
    """Put what is wrong in its place; return the list that every call is noted in."""
    target, name, calls = mistake.target, mistake.name, []
    table = isinstance(target, dict)
    real = target[name] if table else getattr(target, name)

    @wraps(real)  # Keras asks for signatures
    def planted(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return mistake.wrong(real, *args, **kwargs)

    (patch.setitem if table else patch.setattr)(target, name, planted)
    return calls


def test_there_are_enough_training_mistakes():
    assert len(MISTAKES) >= 35
    assert {m.backend for m in MISTAKES.values()} == set(zoo.registry.BACKENDS)
    assert {m.proof for m in MISTAKES.values()} == set(PROOFS)
