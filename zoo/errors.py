"""Errors that a person can act on: what was expected, what was given, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ZooError(Exception):
    """Base of every error that a user of the zoo can cause."""


class ConfigError(ZooError, ValueError):
    """A config value, or the name of one, that no architecture can have."""


class UnknownNameError(ZooError, KeyError):
    """A preset, backend or submodule that does not exist."""

    def __str__(self) -> str:  # KeyError would print the repr, quotes included
        return str(self.args[0])


class MissingBackendError(ZooError, ImportError):
    """The framework of a backend is not installed."""


class InputError(ZooError, ValueError):
    """Inputs of a shape, dtype or value that the model cannot take."""


class StateError(ZooError, ValueError):
    """Weights that do not fit the model; lists every mismatch from both sides."""


class FileError(ZooError, OSError):
    """A file that cannot be read or written, or is not what it claims to be."""


class MissingPackageError(ZooError, ImportError):
    """An optional library that is not installed."""


class TrainingDiverged(ZooError, ArithmeticError):
    """A training loss that is not finite; the message names the step and the layer."""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or nothing."""
    near = get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def unknown(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Return the error for an unknown name, with the nearest match or the known names.

    Args:
        kind: of thing that the name stands for, such as "preset".
        name: which is unknown.
        known: all names of this kind.
    """
    known = sorted(known)
    hint = did_you_mean(name, known)
    if not hint:
        shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
        hint = f" Known: {shown}."
    return UnknownNameError(f"unknown {kind} {name!r}.{hint}")
