"""Records of a pass through a model: `Pass`, `Call`, `Tap`, and the `Recorder`.

All three backends share this. Each adds the conversion of its tensors to NumPy, and
patches the calls of its own modules.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Pass(NamedTuple):
    """One forward and backward pass in training mode, dropout off, all in NumPy."""

    outputs: np.ndarray  # channels last
    losses: dict[str, float]
    gradients: dict[str, np.ndarray]  # canonical names and layouts
    input_gradients: dict[int, np.ndarray]  # by position, channels last
    buffers: dict[str, np.ndarray]  # after the pass, canonical


class Call(NamedTuple):
    """One call of one submodule; arrays channels last."""

    name: str
    kind: str
    index: int  # number of earlier calls of this submodule
    parent: str  # the submodule that called this one
    begin: int  # order of the call among all calls and returns
    end: int  # order of its return
    given: tuple[Any, ...]  # the inputs that the caller passed
    inputs: tuple[Any, ...]  # the inputs that it ran on: `given`, or the forced ones
    own: Any  # the output that it computed
    output: Any  # the output that the caller received: `own`, or the forced one


class Tap(NamedTuple):
    """One call of one submodule, and the gradient of an objective at its output."""

    name: str  # "" is the model itself
    kind: str
    inputs: tuple[Any, ...]  # channels last, as every array of a Tap
    output: Any
    gradient: Any  # with respect to `output`, nested in the same way


class Sensitivity(NamedTuple):
    """One forward and backward pass with every submodule's output and gradient."""

    taps: list[Tap]  # in order of completion: the last is the model
    gradients: dict[str, np.ndarray]  # canonical names and layouts
    input_gradients: dict[int, np.ndarray]  # by position, channels last


class Recorder:
    """Records every submodule's call; can force each to a reference's values.

    With `forced`, each submodule runs on its twin's inputs, and its caller receives the
    twin's output. Its own output is only recorded. So each submodule is compared on
    equal inputs, whatever differed before it.

    Args:
        names: submodule path by `id`.
        to_numpy: tensor -> NumPy, channels last.
        to_native: (NumPy, tensor to replace) -> tensor of the same dtype and device.
        forced: calls of the reference, by (name, index).
        tap: called with each tensor that a submodule returns; its result is used
            instead.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        to_numpy: Callable[[Any], np.ndarray],
        to_native: Callable[[np.ndarray, Any], Any],
        forced: Mapping[tuple[str, int], Call] | None = None,
        tap: Callable[[Any], Any] | None = None,
    ) -> None:
        self.names, self.to_numpy, self.to_native = names, to_numpy, to_native
        self.tap = tap
        self.forced = forced or {}
        self.calls: list[Call] = []
        self._counts: dict[str, int] = {}
        self._active: dict[int, str] = {}  # calls not yet returned, innermost last
        self._clock = itertools.count()

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a class's `__call__`; objects without a name are not recorded."""

        @functools.wraps(call)
        def wrapper(module: Any, *args: Any, **kwargs: Any) -> Any:
            name = self.names.get(id(module))
            if name is None or id(module) in self._active:  # super().__call__
                return call(module, *args, **kwargs)
            index = self._counts.get(name, 0)
            self._counts[name] = index + 1
            begin, parent = next(self._clock), next(reversed(self._active.values()), "")
            twin = self.forced.get((name, index))
            given = inputs = _tree(self.to_numpy, args)
            if twin is not None:
                args = tuple(map(self._replace, args, _pad(twin.inputs, len(args))))
                inputs = _tree(self.to_numpy, args)
            self._active[id(module)] = name
            try:
                result = call(module, *args, **kwargs)
            finally:
                del self._active[id(module)]
            if self.tap is not None:
                result = _tree(self.tap, result)
            own = output = _tree(self.to_numpy, result)
            if twin is not None:
                result = self._replace(result, twin.output)
                output = _tree(self.to_numpy, result)
            kind, end = type(module).__name__, next(self._clock)
            arrays = (given, inputs, own, output)
            self.calls.append(Call(name, kind, index, parent, begin, end, *arrays))
            return result

        return wrapper

    def _replace(self, native: Any, reference: Any) -> Any:
        if isinstance(native, (tuple, list)):
            if not isinstance(reference, (tuple, list)):
                return native
            pairs = zip(native, _pad(reference, len(native)))
            return type(native)(self._replace(a, b) for a, b in pairs)
        if not _is_tensor(native) or not isinstance(reference, np.ndarray):
            return native
        if self.to_numpy(native).shape != reference.shape:
            return native
        return self.to_native(reference, native)


def taps(
    calls: Iterable[Call], gradients: Iterable[Any], outside: Callable[[Any], Any]
) -> list[Tap]:
    """Return the taps of calls that hold native tensors.

    Args:
        calls: of a Recorder whose `to_numpy` is the identity.
        gradients: with respect to each returned tensor of real numbers, in order.
        outside: tensor -> NumPy, channels last.
    """
    pending = iter(gradients)

    def gradient(output: np.ndarray) -> np.ndarray:
        if output.dtype.kind in "iub":
            return np.zeros_like(output)
        return outside(next(pending))

    result = []
    for call in calls:
        inputs, output = _tree(outside, call.given), _tree(outside, call.own)
        tap = Tap(call.name, call.kind, inputs, output, _tree(gradient, output))
        result.append(tap)
    return result


def _pad(values: Any, length: int) -> list[Any]:
    values = list(values)[:length]
    return values + [None] * (length - len(values))


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _tree(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(_tree(function, v) for v in value)
    return function(value) if _is_tensor(value) else value


def arrays_in(value: Any) -> list[np.ndarray]:
    """Return the arrays in nested tuples, in order."""
    if isinstance(value, (tuple, list)):
        return [a for v in value for a in arrays_in(v)]
    return [value] if isinstance(value, np.ndarray) else []


def has_nan(value: Any) -> bool:
    """Return whether NaN or infinity is in nested tuples of arrays."""
    return any(not np.isfinite(a).all() for a in arrays_in(value))
