"""What a pass through a model leaves behind: `Pass`, `Call`, `Tap`, the `Recorder`.

All three backends share this; each adds only how its tensors cross to NumPy, and which
classes' calls to watch.
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
    index: int  # how many times this submodule had been called before
    parent: str  # the submodule that called this one
    begin: int  # when it was called and when it returned: a count of such events
    end: int
    given: tuple[Any, ...]  # the inputs it was given …
    inputs: tuple[Any, ...]  # … and those it ran on, where they were forced
    own: Any  # what it returned …
    output: Any  # … and what went on from there, where that was forced


class Tap(NamedTuple):
    """One call of one submodule, and how what it returned bears on an objective."""

    name: str  # "" is the model itself
    kind: str
    inputs: tuple[Any, ...]  # channels last, as all here
    output: Any
    gradient: Any  # of the objective with respect to `output`, and of its form


class Sensitivity(NamedTuple):
    """One forward and backward pass with every submodule's output in sight."""

    taps: list[Tap]  # in order of completion: the last is the model
    gradients: dict[str, np.ndarray]  # canonical names and layouts
    input_gradients: dict[int, np.ndarray]  # by position, channels last


class Recorder:
    """Records every submodule's call; can force each to a reference's values.

    With `forced`, each submodule is fed the inputs that its twin saw, and what it
    returns is recorded but replaced by what its twin returned. So every submodule is
    judged alone, with all that came before held equal.

    Args:
        names: submodule path by `id`.
        to_numpy: tensor -> NumPy, channels last.
        to_native: (NumPy, tensor it replaces) -> tensor of the same type and place.
        forced: calls of the reference, by (name, index).
        tap: applied to each tensor that a submodule returns; what it gives goes on.
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
        self._active: dict[int, str] = {}  # calls under way, innermost last
        self._clock = itertools.count()

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a class's `__call__`; calls of unnamed objects pass through."""

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
            seen = (given, inputs, own, output)
            self.calls.append(Call(name, kind, index, parent, begin, end, *seen))
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
    """Return calls that hold native tensors as taps.

    Args:
        calls: what a Recorder saw whose `to_numpy` changes nothing.
        gradients: with respect to the real tensors that were returned, in order.
        outside: tensor -> NumPy, channels last.
    """
    left = iter(gradients)

    def gradient(output: np.ndarray) -> np.ndarray:
        if output.dtype.kind in "iub":
            return np.zeros_like(output)
        return outside(next(left))

    found = []
    for call in calls:
        output = _tree(outside, call.own)
        seen = (_tree(outside, call.given), output, _tree(gradient, output))
        found.append(Tap(call.name, call.kind, *seen))
    return found


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
