"""Axes of charts: where a value lies, and which ticks are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .words import number


class Axis:
    """Maps values to positions, and chooses ticks.

    Args:
        low, high: the range of the values.
        start, end: the positions of `low` and `high`.
        log: whether equal factors are equally far apart.
        tick: writes a tick's number.
        values: ticks to choose from, the most important first; by default, round
            numbers.
    """

    def __init__(
        self,
        low: float,
        high: float,
        start: float,
        end: float,
        *,
        log: bool = False,
        tick: Callable[[float], str] | None = None,
        values: Sequence[float] | None = None,
    ) -> None:
        self.log, self.tick = log, tick or number
        if high <= low:
            low, high = (low / 2, low * 2) if log else (low - 0.5, low + 0.5)
        self.low, self.high, self.start, self.end = low, high, start, end
        if values is None:
            values = _decades(low, high) if log else _multiples(low, high)
        self.values = values

    def __call__(self, value: float) -> float:
        """Return a value's position; a value outside the axis lies at its end."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def placed(self, start: float, end: float) -> Axis:
        """Return the same axis between other positions."""
        return Axis(
            self.low, self.high, start, end,
            log=self.log, tick=self.tick, values=self.values,
        )  # fmt: skip

    def ticks(
        self, apart: float, first: float | None = None
    ) -> list[tuple[float, str]]:
        """Return positions and labels of ticks.

        Args:
            apart: the least distance between two ticks.
            first: a value whose tick is kept in any case.
        """
        inside = [v for v in self.values if self.low <= v <= self.high]
        inside.sort(key=lambda v: v != first)
        kept: list[tuple[float, str]] = []
        for value in inside:
            position = self(value)
            if all(abs(position - other) >= apart for other, _ in kept):
                kept.append((position, self.tick(value)))
        return kept


def _multiples(low: float, high: float) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten: three to six of them."""
    power = 10 ** math.floor(math.log10(high - low))
    sizes = (power / 5, power / 2, power, power * 2)
    step = next(s for s in sizes if (high - low) / s <= 5)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Return powers of ten, then the values between them, the roundest first."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5, 3, 7, 1.5, 4)
    return [m * 10.0**i for m in factors for i in range(first, last + 1)]
