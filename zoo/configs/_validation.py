"""Checks and overrides that the frozen dataclasses Config and Recipe share.

Each error names the field, the values it may have, and the value it got.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import fields, replace
from typing import Any, Self

from ..errors import ConfigError, did_you_mean

_INTEGERS = {0: "0 or a positive integer", 1: "a positive integer"}


class Validated:
    """Base of a frozen dataclass whose `__post_init__` calls these checks."""

    def override(self, **changes: Any) -> Self:
        """Return a copy with some fields changed.

        Raises ConfigError for an unknown name, with a hint at the nearest one.
        """
        self.check_names(changes)
        return replace(self, **changes)  # type: ignore[type-var]

    @classmethod
    def check_names(cls, names: Collection[str]) -> None:
        """Raise ConfigError for a name that is not a field."""
        known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ConfigError(
                    f"{cls.__name__} has no field {name!r}.{hint}"
                    f" Fields: {', '.join(known)}."
                )

    def _fail(self, name: str, wanted: str) -> ConfigError:
        return ConfigError(f"{name} must be {wanted}; got {getattr(self, name)!r}.")

    def _choice(self, name: str, allowed: Collection[str]) -> None:
        self._known(name, getattr(self, name), allowed)

    @staticmethod
    def _known(name: str, value: object, allowed: Collection[str]) -> None:
        if value not in allowed:
            hint = did_you_mean(value, allowed)
            wanted = f"one of {', '.join(allowed)}"
            raise ConfigError(f"{name} must be {wanted}; got {value!r}.{hint}")

    def _flag(self, *names: str) -> None:
        for name in names:
            if not isinstance(getattr(self, name), bool):
                raise self._fail(name, "True or False")

    def _integer(self, *names: str, least: int, optional: bool = False) -> None:
        for name in names:
            value = getattr(self, name)
            if optional and value is None:
                continue
            if type(value) is not int or not least <= value < 2**63:
                raise self._fail(name, _INTEGERS[least])

    def _positive(self, *names: str) -> None:
        self._integer(*names, least=1)

    def _widths(self, name: str, least: int = 1) -> None:
        values = getattr(self, name)
        good = isinstance(values, tuple) and len(values) >= least
        if not good or not all(type(v) is int and v > 0 for v in values):
            raise self._fail(name, f"at least {least} positive integers")

    def _real(
        self,
        *names: str,
        wanted: str,
        ok: Callable[[float], bool],
        optional: bool = False,
    ) -> None:
        for name in names:
            value = getattr(self, name)
            if optional and value is None:
                continue
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or not ok(value):
                raise self._fail(name, wanted)

    def _fraction(self, *names: str, optional: bool = False) -> None:
        wanted = "a number in [0, 1)"
        self._real(*names, wanted=wanted, ok=lambda v: 0 <= v < 1, optional=optional)

    def _divides(self, divisor: str, name: str) -> None:
        if getattr(self, name) % getattr(self, divisor):
            wanted = f"divisible by {divisor}={getattr(self, divisor)}"
            raise self._fail(name, wanted)
