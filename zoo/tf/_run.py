"""Build, run, differentiate and trace Keras models, from and to NumPy.

On the NumPy side images are channels last. TensorFlow itself is used only for what
Keras lacks: the gradient tape and device placement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import keras
import numpy as np
from keras import layers, ops

from ..configs._base import Config
from ..errors import InputError, ZooError
from ..spec.tracing import Call, Pass, Recorder
from ._layers import Model, dtype_scope
from ._weights import collect, read, submodules

DTYPES = {d: d for d in ("float32", "float64", "bfloat16", "float16")}


def construct(
    cls: type[Model],
    config: Config,
    *,
    dtype: str,
    device: str | None,
    native_seed: int | None,
) -> Model:
    """Return `cls(config)`, built; its weights are always Keras's own initial ones."""
    if native_seed is not None:
        keras.utils.set_random_seed(native_seed % 2**32)
    with _on(device), dtype_scope(dtype):
        model = cls(config)
        model.build()
    return model


def _on(device: str | None) -> Any:
    """Return the scope that places variables and operators on a device."""
    if device is None:
        return nullcontext()
    if keras.backend.backend() != "tensorflow":
        return keras.device(device.replace("cuda", "gpu"))
    import tensorflow as tf

    kind, _, number = device.lower().replace("cuda", "gpu").partition(":")
    known = {"cpu", *(d.device_type.lower() for d in tf.config.list_logical_devices())}
    if kind not in known or not (number or "0").isdigit():
        raise InputError(
            f"device {device!r} is not usable by TensorFlow here;"
            f" it has {', '.join(sorted(known))}."
        )
    return tf.device(f"/{kind.upper()}:{number or 0}")


def _placed(model: Model) -> Any:
    """Return the scope of the device on which the model's variables are."""
    if keras.backend.backend() != "tensorflow" or not model.variables:
        return nullcontext()
    import tensorflow as tf

    return tf.device(model.variables[0].value.device)


def count(model: Model) -> int:
    """Return Keras's own count of scalars."""
    return model.count_params()


def dtype_of(model: Model) -> str:
    """Return the name of the variables' dtype."""
    return model.dtype_policy.variable_dtype


def _native(array: np.ndarray, model: Model) -> Any:
    array = np.asarray(array)
    kinds = {"f": model.dtype_policy.compute_dtype, "i": "int32", "u": "int32"}
    return ops.convert_to_tensor(array, dtype=kinds.get(array.dtype.kind))


def _outside(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


@contextmanager
def exact(model: Model, dtype: str) -> Iterator[Model]:
    """Yield the model itself, cast to this dtype, TF32 off; all is restored after.

    Keras copies a model only through its config, without a user's changes to a layer.
    So the model itself is cast: each variable's value and each layer's dtype policy are
    replaced.
    """
    if keras.backend.backend() != "tensorflow":
        raise ZooError(
            "the ladder checks Keras on its TensorFlow engine only; this process has"
            f" KERAS_BACKEND={keras.backend.backend()}."
        )
    import tensorflow as tf

    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    variables = [v for v in model.variables if keras.backend.is_float_dtype(v.dtype)]
    old_values = [(v._value, v._dtype) for v in variables]
    old_policies = [(layer, layer.dtype_policy) for layer in model._flatten_layers()]
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        with dtype_scope(dtype), _placed(model):
            for v in variables:
                value = tf.cast(v._value, dtype)  # a copy: exact upwards
                v._value = tf.Variable(value, trainable=v.trainable)
                v._dtype = dtype
            for layer, _ in old_policies:
                layer.dtype_policy = keras.DTypePolicy(dtype)
            yield model
    finally:
        for v, (value, old) in zip(variables, old_values):
            v._value, v._dtype = value, old
        for layer, policy in old_policies:
            layer.dtype_policy = policy
        tf.config.experimental.enable_tensor_float_32_execution(tf32)


def dropouts(model: Model) -> dict[str, float]:
    """Return the rate of every dropout that is not 0, by its canonical path."""
    drops = submodules(model).items()
    return {k: m.rate for k, m in drops if isinstance(m, layers.Dropout) and m.rate}


@contextmanager
def _no_dropout(model: Model) -> Iterator[None]:
    """Set all dropout rates to 0 inside the block, as native masks differ."""
    drops = [m for m in model._flatten_layers() if isinstance(m, layers.Dropout)]
    rates = [m.rate for m in drops]
    for m in drops:
        m.rate = 0.0
    try:
        yield
    finally:
        for m, rate in zip(drops, rates):
            m.rate = rate


def forward(model: Model, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the outputs in eval mode."""
    with _placed(model):
        return _outside(model(*(_native(x, model) for x in inputs), training=False))


LOSSES = {
    "cross_entropy": lambda z, t: ops.mean(
        ops.sparse_categorical_crossentropy(t, z, from_logits=True)
    ),
    "bce": lambda z, t: ops.mean(ops.binary_crossentropy(t, z, from_logits=True)),
    "mse": lambda z, t: ops.mean(ops.square(z - t)),
}


def loss_function(kind: str, smoothing: float) -> Callable[[Any, Any], Any]:
    """Return a loss of (logits, targets), its targets smoothed (cross-entropy)."""
    if not smoothing:
        return LOSSES[kind]

    def smoothed(z: Any, t: Any) -> Any:
        classes = z.shape[-1]
        share = ops.convert_to_tensor(smoothing, z.dtype)
        target = ops.one_hot(t, classes, dtype=z.dtype) * (1 - share) + share / classes
        return ops.mean(ops.categorical_crossentropy(target, z, from_logits=True))

    return smoothed


def backward(
    model: Model,
    inputs: Sequence[np.ndarray],
    targets: Mapping[str, np.ndarray],
    loss: str,
) -> Pass:
    """Run forward in training mode, without dropout, and backward from `loss`."""
    import tensorflow as tf

    saved = [(v, v.numpy()) for v in model.non_trainable_variables]
    with _placed(model), _no_dropout(model):
        xs = [_native(x, model) for x in inputs]
        reals = [i for i, x in enumerate(xs) if x.dtype.is_floating]
        with tf.GradientTape() as tape:
            for i in reals:
                tape.watch(xs[i])
            outputs = model(*xs, training=True)
            losses = {
                k: LOSSES[k](outputs, _native(t, model)) for k, t in targets.items()
            }
        variables = [v.value for v in model.trainable_variables]
        grads, x_grads = tape.gradient(
            losses[loss],
            (variables, [xs[i] for i in reals]),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
    gradients = _canonical(model, grads)
    buffers = {k: v.copy() for k, v in read(model).items() if k not in gradients}
    _restore(saved)
    return Pass(
        _outside(outputs),
        {k: float(v) for k, v in losses.items()},
        gradients,
        {i: _outside(g) for i, g in zip(reals, x_grads)},
        buffers,
    )


def _canonical(model: Model, grads: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return gradients of `trainable_variables` under canonical names, in NumPy."""
    import tensorflow as tf

    arrays = {
        id(v): _outside(tf.convert_to_tensor(g))  # an embedding's is IndexedSlices
        for v, g in zip(model.trainable_variables, grads)
    }
    return collect(model, lambda v: arrays[id(v)], trainable=True)


def _restore(values: list[tuple[keras.Variable, np.ndarray]]) -> None:
    for variable, value in values:
        variable.assign(value)


def facts(module: keras.Layer) -> dict[str, float]:
    """Return a layer's constants as PyTorch names and means them."""
    names = {"epsilon": "eps", "momentum": "momentum", "groups": "groups"}
    constants = {names[k]: float(v) for k, v in vars(module).items() if k in names}
    if "momentum" in constants:  # of the old value; PyTorch's is of the new one
        constants["momentum"] = round(1 - constants["momentum"], 12)
    return constants


def trace(
    model: Model,
    inputs: Sequence[np.ndarray],
    training: bool = False,
    forced: Mapping[tuple[str, int], Call] | None = None,
) -> list[Call]:
    """Return every submodule's call in order of completion (see `Recorder`)."""
    names = {id(m): name for name, m in submodules(model).items()}
    recorder = Recorder(names, _outside, _inside, forced)
    saved = [(v, v.numpy()) for v in model.non_trainable_variables]
    wrapped = recorder.around(layers.Layer.__call__)
    patch = mock.patch.object(layers.Layer, "__call__", wrapped)
    with _placed(model), _no_dropout(model), patch:
        model(*(_native(x, model) for x in inputs), training=training)
    _restore(saved)
    return recorder.calls


def _inside(array: np.ndarray, like: Any) -> Any:
    return ops.convert_to_tensor(array, dtype=like.dtype)
