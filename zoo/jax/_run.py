"""Build, run, differentiate and trace Flax models, from and to NumPy.

On the NumPy side images are channels last.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ..configs._base import Config
from ..errors import InputError
from ..spec.tracing import Call, Pass, Recorder
from ._weights import read, submodules, trainable

DTYPES = {
    "float32": jnp.float32,
    "float64": jnp.float64,
    "bfloat16": jnp.bfloat16,
    "float16": jnp.float16,
}
_WEIGHTS = (nnx.Param, nnx.BatchStat)


def construct(
    cls: Callable[..., nnx.Module],
    config: Config,
    *,
    dtype: str,
    device: str | None,
    native_seed: int | None,
) -> nnx.Module:
    """Return `cls(config, …)`; its weights are unset unless `native_seed` is given.

    Unset weights are zeros, made without running (and compiling) any initialiser.
    """
    if dtype == "float64" and not jax.config.read("jax_enable_x64"):
        jax.config.update("jax_enable_x64", True)
        warnings.warn(
            "switched JAX to 64 bits (jax_enable_x64) for this process: without it a"
            " float64 model silently computes in float32.",
            stacklevel=4,
        )
    with jax.default_device(_device(device)) if device else nullcontext():
        if native_seed is None:
            model = nnx.eval_shape(lambda: cls(config, rngs=nnx.Rngs(0)))
            _materialise(model)
        else:
            model = cls(config, rngs=nnx.Rngs(native_seed))
        if dtype != "float32":
            _cast(model, DTYPES[dtype])
    if device:
        target = _device(device)
        for _, variable in nnx.iter_graph(model):
            if isinstance(variable, nnx.Variable):
                variable.set_value(jax.device_put(variable.get_value(), target))
    return model


def _device(name: str) -> jax.Device:
    kind, _, number = name.partition(":")
    try:
        return jax.devices(kind)[int(number or 0)]
    except (RuntimeError, ValueError, IndexError):
        known = ", ".join(str(d) for d in jax.devices())
        raise InputError(
            f"device {name!r} is not usable by JAX here; it has {known}."
        ) from None


def _materialise(model: nnx.Module) -> None:
    """Replace abstract variables by zeros, and random states by real ones."""
    streams = 0
    for _, variable in nnx.iter_graph(model):
        if isinstance(variable, nnx.RngKey):
            variable.set_value(jax.random.fold_in(jax.random.key(0), streams))
            streams += 1
        elif isinstance(variable, nnx.RngCount):
            variable.set_value(jnp.zeros((), jnp.uint32))
        elif isinstance(variable, nnx.Variable):
            abstract = variable.get_value()
            variable.set_value(np.zeros(abstract.shape, abstract.dtype))


def _cast(model: nnx.Module, dtype: Any) -> None:
    for _, node in nnx.iter_graph(model):
        if isinstance(node, _WEIGHTS):
            node.set_value(jnp.asarray(node.get_value()).astype(dtype))
        elif isinstance(node, nnx.Module) and getattr(node, "dtype", None) is not None:
            node.dtype = dtype  # pyrefly: ignore[missing-attribute]  # nnx.Embed stores its dtype


def dropouts(model: nnx.Module) -> dict[str, float]:
    """Return the rate of every dropout that is not 0, by its canonical path."""
    drops = submodules(model).items()
    return {k: m.rate for k, m in drops if isinstance(m, nnx.Dropout) and m.rate}


def count(model: nnx.Module) -> int:
    """Return Flax's own count of scalars: parameters and batch statistics."""
    return sum(v.size for v in jax.tree.leaves(nnx.state(model, nnx.Any(*_WEIGHTS))))


def dtype_of(model: nnx.Module) -> str:
    """Return the name of the parameters' dtype."""
    leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
    return str(leaves[0].dtype) if leaves else "float32"


def _native(array: np.ndarray, model: nnx.Module) -> jax.Array:
    array = np.asarray(array)
    return jnp.asarray(array, dtype_of(model) if array.dtype.kind == "f" else None)


def _outside(tensor: Any) -> np.ndarray:
    return np.asarray(tensor)


def _copy(model: nnx.Module, training: bool) -> nnx.Module:
    """Return a copy in eval or train mode (dropout off); arrays are shared."""
    model = nnx.clone(model)
    if not training:
        model.eval()
        return model
    model.train()
    # Native dropout masks differ between frameworks, so the ladder uses none.
    model.set_attributes(nnx.Dropout, deterministic=True, raise_if_not_found=False)
    return model


@contextmanager
def exact(model: nnx.Module, dtype: str) -> Iterator[nnx.Module]:
    """Yield a copy of the model as it stands, in this dtype, at full precision.

    `forward` compiles anew inside the block, so that patched functions take effect.
    """
    global _now
    _now = next(_generation)
    x64 = dtype == "float64" or jax.config.read("jax_enable_x64")
    with jax.enable_x64(x64), jax.default_matmul_precision("highest"):
        model = nnx.clone(model)
        _cast(model, DTYPES[dtype])
        yield model


_generation = itertools.count()
_now = next(_generation)


@partial(nnx.jit, static_argnums=0)
def _call(generation: int, model: nnx.Module, *inputs: jax.Array) -> jax.Array:
    return model(*inputs)


def forward(model: nnx.Module, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the outputs in eval mode."""
    model = _copy(model, training=False)
    return _outside(_call(_now, model, *(_native(x, model) for x in inputs)))


LOSSES = {
    "cross_entropy": lambda z, t: optax.softmax_cross_entropy_with_integer_labels(
        z, t
    ).mean(),
    "bce": lambda z, t: optax.sigmoid_binary_cross_entropy(z, t).mean(),
    "mse": lambda z, t: optax.squared_error(z, t).mean(),
}


def backward(
    model: nnx.Module,
    inputs: Sequence[np.ndarray],
    targets: Mapping[str, np.ndarray],
    loss: str,
) -> Pass:
    """Run forward in training mode, without dropout, and backward from `loss`."""
    graph, params, rest = nnx.split(_copy(model, training=True), nnx.Param, ...)
    xs = [_native(x, model) for x in inputs]
    ts = {k: _native(t, model) for k, t in targets.items()}
    reals = [i for i, x in enumerate(xs) if jnp.issubdtype(x.dtype, jnp.floating)]

    @jax.jit
    def run(params, rest, xs, ts):
        def objective(params, real_xs):
            live = nnx.merge(graph, params, rest, copy=True)
            inputs = list(xs)
            for i, x in zip(reals, real_xs):
                inputs[i] = x
            outputs = live(*inputs)
            losses = {k: LOSSES[k](outputs, t) for k, t in ts.items()}
            return losses[loss], (outputs, losses, nnx.state(live, nnx.BatchStat))

        differentiate = jax.value_and_grad(objective, (0, 1), has_aux=True)
        (_, aux), grads = differentiate(params, [xs[i] for i in reals])
        return aux, grads

    (outputs, losses, stats), (grads, x_grads) = run(params, rest, xs, ts)
    # The model's structure gives gradients and statistics their canonical names.
    after = nnx.merge(graph, grads, rest, copy=True)
    nnx.update(after, stats)
    arrays = read(after)
    learned = trainable(model)
    return Pass(
        _outside(outputs),
        {k: float(v) for k, v in losses.items()},
        {k: v for k, v in arrays.items() if k in learned},
        {i: _outside(g) for i, g in zip(reals, x_grads)},
        {k: v for k, v in arrays.items() if k not in learned},
    )


def facts(module: nnx.Module) -> dict[str, float]:
    """Return a layer's constants as PyTorch names and means them."""
    names = {"epsilon": "eps", "momentum": "momentum", "num_groups": "groups"}
    constants = {names[k]: float(v) for k, v in vars(module).items() if k in names}
    if "momentum" in constants:  # of the old value; PyTorch's is of the new one
        constants["momentum"] = round(1 - constants["momentum"], 12)
    return constants


def trace(
    model: nnx.Module,
    inputs: Sequence[np.ndarray],
    training: bool = False,
    forced: Mapping[tuple[str, int], Call] | None = None,
) -> list[Call]:
    """Return every submodule's call in order of completion (see `Recorder`)."""
    model = _copy(model, training)
    modules = submodules(model)
    names = {id(m): name for name, m in modules.items()}
    recorder = Recorder(names, _outside, _inside, forced)
    with watched(modules, recorder):
        model(*(_native(x, model) for x in inputs))
    return recorder.calls


@contextmanager
def watched(modules: Mapping[str, nnx.Module], recorder: Recorder) -> Iterator[None]:
    """Record every call of these modules inside the block.

    Flax has no common `__call__`, so each class's own is patched.
    """
    owners = {
        next(c for c in type(m).__mro__ if "__call__" in vars(c))
        for m in modules.values()
    }
    with ExitStack() as stack:
        for owner in owners:
            wrapped = recorder.around(owner.__call__)
            stack.enter_context(mock.patch.object(owner, "__call__", wrapped))
        yield


def _inside(array: np.ndarray, like: Any) -> jax.Array:
    return jnp.asarray(array, like.dtype)
