"""Build models and run them; every function works in every backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .backend import Model
from .configs._base import Config, Input
from .errors import InputError, unknown
from .registry import backend_of, config, get_backend, twin
from .spec.draws import uniform
from .spec.initializers import initial_state

Inputs = np.ndarray | tuple[np.ndarray, ...] | Mapping[str, np.ndarray]


def resolve(preset: str | Config, **overrides: Any) -> Config:
    """Return a config from a preset's name or a config."""
    if isinstance(preset, Config):
        return preset.override(**overrides)
    return config(preset, **overrides)


def construct(
    config: Config,
    backend: str = "torch",
    *,
    dtype: str = "float32",
    device: str | None = None,
    native_seed: int | None = None,
) -> Model:
    """Return a model whose weights are still to be written.

    Args:
        config: of the model.
        backend, dtype, device: as in `build`.
        native_seed: seed of the framework's own initial weights; None skips drawing
            them, which saves time.

    Raises:
        UnknownNameError: for a dtype or a backend that does not exist.
        InputError: for a device that cannot be used.
    """
    package = get_backend(backend)
    if dtype not in package.DTYPES:
        raise unknown("dtype", dtype, package.DTYPES)
    return package.construct(
        twin(config, backend),
        config,
        dtype=dtype,
        device=device,
        native_seed=native_seed,
    )


def build(
    name: str | Config,
    backend: str = "torch",
    *,
    seed: int = 0,
    init: str = "zoo",
    dtype: str = "float32",
    device: str | None = None,
    **overrides: Any,
) -> Model:
    """Build a model: an ordinary nn.Module, keras.Model or nnx.Module.

    Args:
        name: a preset (see `list_models`), or a config.
        backend: "torch", "tf" or "jax"; also "pytorch", "tensorflow", "keras", "flax".
        seed: of the initial weights.
        init: "zoo" gives the same weights in every framework; "native" leaves the
            framework's own initialisation, seeded.
        dtype: "float32", "float64", "bfloat16" or "float16".
        device: "cpu", "cuda", "cuda:1", "gpu:0" …; None is the framework's default.
        **overrides: config fields to change, such as `num_classes=3`.

    Raises:
        ZooError: for a name, field, value, dtype or device that does not exist.
    """
    if init not in ("zoo", "native"):
        raise unknown("init", init, ("zoo", "native"))
    config = resolve(name, **overrides)
    own_seed = seed if init == "native" else None
    model = construct(config, backend, dtype=dtype, device=device, native_seed=own_seed)
    if init == "zoo":
        package = get_backend(model)
        package.write(model, initial_state(config, package.shapes(model), seed))
    return model


def count_parameters(model: Model) -> int:
    """Return the number of trainable scalars."""
    backend = get_backend(model)
    shapes = backend.shapes(model)
    return sum(int(np.prod(shapes[name])) for name in backend.trainable(model))


def example_inputs(model: Any, batch: int = 2, seed: int = 0) -> Any:
    """Return inputs for a model, a config or a preset's name: NumPy, channels last.

    An array, or a tuple in call order. Edge cases are among them: a patch of exact
    zeros (ties for ReLU and max-pool), negative values, the first and the last token,
    a length of one, masked positions, the time steps 0 and 999.
    """
    if not isinstance(model, (str, Config)):
        backend_of(model)  # raises for what is no model of the zoo
        model = model.config
    config = resolve(model)
    if batch < 1:
        raise InputError(f"batch must be at least 1; got {batch}.")
    arrays = tuple(_example(spec, batch, seed) for spec in config.inputs())
    return arrays[0] if len(arrays) == 1 else arrays


def example_targets(shape: tuple[int, ...], seed: int = 0) -> dict[str, np.ndarray]:
    """Return a target for each loss that logits of this shape (channels last) allow."""
    noise = uniform(seed, "target", shape)
    targets = {"bce": (noise > 0).astype(np.float32), "mse": noise}
    if shape[-1] > 1:
        ids = (uniform(seed, "labels", shape[:-1]) + 1) * (shape[-1] / 2)
        targets["cross_entropy"] = ids.astype(np.int32)
    return targets


def _example(spec: Input, batch: int, seed: int) -> np.ndarray:
    shape = (batch, *spec.shape)
    noise = uniform(seed, f"input:{spec.name}", shape)  # [-1, 1)
    if spec.kind == "token":
        ids = ((noise + 1) * (spec.high / 2)).astype(np.int32)
        ids[0, 0], ids[-1, -1] = spec.high - 1, 0
        return ids
    if spec.kind == "length":
        lengths = 1 + ((noise + 1) * (spec.high / 2)).astype(np.int32)
        lengths[0], lengths[-1] = spec.high, 1
        return lengths
    if spec.kind == "mask":
        mask = np.ones(shape, bool)
        for i in range(1, batch):  # more padding in each row; a hole in the last
            mask[i, max(2, shape[1] - 2 * i) :] = False
        if batch > 1 and shape[1] > 2:
            mask[-1, 1] = False
        return mask
    if spec.kind == "time":
        return np.linspace(0, 999, batch).astype(np.float32)
    x = 2 * noise
    if len(spec.shape) == 3:  # a black corner: exact ties for max-pool, zeros for ReLU
        x[0, : spec.shape[0] // 2, : spec.shape[1] // 2] = 0
    return x


def as_inputs(config: Config, inputs: Inputs) -> tuple[np.ndarray, ...]:
    """Return inputs in call order, checked against the config.

    Raises InputError for a wrong count, rank, width, dtype or value.
    """
    specs = config.inputs()
    names = ", ".join(s.name + ("=None" if s.optional else "") for s in specs)
    if isinstance(inputs, Mapping):
        known = [s.name for s in specs]
        for name in inputs:
            if name not in known:
                raise unknown("input", name, known)
        given = [inputs.get(s.name) for s in specs]
    else:
        given = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    while given and given[-1] is None:
        given.pop()
    least = sum(not s.optional for s in specs)
    if not least <= len(given) <= len(specs) or any(x is None for x in given):
        raise InputError(f"the model takes ({names}); got {len(given)} inputs.")
    arrays = tuple(np.asarray(x) for x in given)
    for spec, array in zip(specs, arrays):
        _check(spec, array, arrays[0])
    if arrays[0].ndim == 4:
        config.check_size(*arrays[0].shape[1:3])
    elif specs[0].kind == "token":
        config.check_length(arrays[0].shape[1])
    return arrays


def _check(spec: Input, array: np.ndarray, first: np.ndarray) -> None:
    """Raise InputError where an input does not fit its spec or the first input."""

    def fail(wanted: str) -> InputError:
        return InputError(
            f"input {spec.name!r} must be {wanted}; got {array.dtype}{array.shape}."
        )

    kind = {"float32": "f", "int32": "iu", "bool": "b"}[spec.dtype]
    if array.dtype.kind not in kind:
        raise fail({"f": "floats", "iu": "integers", "b": "booleans"}[kind])
    if array.ndim != len(spec.shape) + 1 or 0 in array.shape:
        axes = {0: "(N,)", 1: "(N, C)", 2: "(N, T, C)", 3: "(N, H, W, C)"}
        axes = axes | ({1: "(N, T)"} if spec.kind in ("token", "mask") else {})
        raise fail(f"of shape {axes[len(spec.shape)]}, channels last")
    if len(array) != len(first):
        raise fail(f"a batch of {len(first)}, as the first input")
    if spec.kind == "real" and array.shape[-1] != spec.shape[-1]:
        raise fail(f"{spec.shape[-1]} wide in its last axis")
    if spec.kind == "token" and not (0 <= array.min() <= array.max() < spec.high):
        raise fail(f"in [0, {spec.high})")
    if spec.kind == "length":
        if not 1 <= array.min() <= array.max() <= first.shape[1]:
            raise fail(f"in [1, {first.shape[1]}]")
    if spec.kind == "mask":
        if array.shape != first.shape[: array.ndim]:
            raise fail(f"of shape {first.shape[: array.ndim]}")
        if not array.any(-1).all():
            raise fail("True somewhere in every row: a fully masked row has no value")


def predict(model: Model, inputs: Inputs) -> np.ndarray:
    """Return the outputs as NumPy, channels last, in eval mode.

    Inputs are NumPy, channels last: an array, a tuple in call order, or a dict. The
    model's own mode is restored.
    """
    return get_backend(model).forward(model, as_inputs(model.config, inputs))


def trace(model: Model, inputs: Inputs) -> dict[str, Any]:
    """Return {submodule name: output} of one forward pass in eval mode.

    Outputs are NumPy, channels last, in order of completion; a submodule called more
    than once keeps its last output.
    """
    calls = get_backend(model).trace(model, as_inputs(model.config, inputs))
    return {c.name: c.own for c in calls if c.name}
