"""The models of one check by label; the first is the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import NamedTuple

from ..backend import Backend, Model
from ..configs._base import Config
from ..errors import ZooError
from ..registry import get_backend


class Subject(NamedTuple):
    """A model, its backend, and its label in a report."""

    label: str
    backend: Backend
    model: Model

    def module(self, path: str) -> object | None:
        """Return the submodule at a path, or None."""
        return self.backend.submodules(self.model).get(path)

    def kind(self, path: str) -> str:
        """Return the class name of the submodule at a path, or ""."""
        module = self.module(path)
        return "" if module is None else type(module).__name__

    def facts(self, path: str) -> dict[str, float]:
        """Return the settings of the submodule at a path, such as eps and groups."""
        module = self.module(path)
        return {} if module is None else self.backend.facts(module)


class Subjects:
    """All models of a check.

    Args:
        config: of all models.
        models: by label; the first is the reference.
    """

    def __init__(self, config: Config, models: Mapping[str, Model]) -> None:
        self.config, self.models = config, dict(models)
        self.backends: dict[str, Backend] = {
            label: get_backend(model) for label, model in models.items()
        }
        self.reference = next(iter(models))

    def exact(
        self, stack: ExitStack, labels: Iterable[str], dtype: str, missing: list[str]
    ) -> dict[str, Model]:
        """Return models in this dtype, until the stack is closed.

        Args:
            stack: closes the casts.
            labels: of the models to cast.
            dtype: "float64" or "float32".
            missing: gets a line for each model that cannot be cast.
        """
        exact = {}
        for label in labels:
            try:
                context = self.backends[label].exact(self.models[label], dtype)
                exact[label] = stack.enter_context(context)
            except ZooError as error:
                if (line := f"{label}: {error}") not in missing:
                    missing.append(line)
        return exact
