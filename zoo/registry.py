"""Name -> preset -> config -> class, found by convention.

Every module of `zoo.configs` with PRESETS is an architecture family. Another package
adds a family through an entry point in the group `zoo.architectures` that names such a
module, for example `acme.configs.gated`. The twins are then the classes of the same
name in `acme.torch.gated`, `acme.tf.gated` and `acme.jax.gated`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from . import configs
from .configs._base import Config
from .errors import ConfigError, MissingBackendError, ZooError, unknown

if TYPE_CHECKING:
    from .backend import Backend  # needs NumPy, which `zoo list` does without

BACKENDS = ("torch", "tf", "jax")
ALIASES = {"pytorch": "torch", "tensorflow": "tf", "keras": "tf", "flax": "jax"}
TITLES = {"torch": "PyTorch", "tf": "Keras", "jax": "Flax"}
COLOURS = {"torch": "#D55E00", "tf": "#6A1B4D", "jax": "#0091C8"}  # in every chart
_FRAMEWORKS = {
    "torch": ("torch",),
    "tf": ("tensorflow", "keras"),
    "jax": ("jax", "flax", "optax"),
}


@cache
def families() -> tuple[ModuleType, ...]:
    """Return the config modules: the zoo's own, then those of installed packages."""
    own = (m.name for m in pkgutil.iter_modules(configs.__path__) if m.name[0] != "_")
    every = [import_module(f"{configs.__name__}.{name}") for name in own]
    modules = [module for module in every if hasattr(module, "PRESETS")]
    for point in entry_points(group="zoo.architectures"):
        try:
            module = point.load()
        except Exception as error:
            raise ZooError(
                f"the architecture package {point.name!r} ({point.value}) cannot be"
                f" imported: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(getattr(module, "PRESETS", None), dict):
            raise ZooError(
                f"the entry point {point.name!r} in zoo.architectures must name a"
                f" module with PRESETS; {point.value} has none."
            )
        modules.append(module)
    return tuple(modules)


@cache
def presets() -> dict[str, Config]:
    """Return every preset by name."""
    by_name: dict[str, Config] = {}
    for module in families():
        for name, preset in module.PRESETS.items():
            if name in by_name:
                raise ZooError(
                    f"two architectures are called {name!r}: one of"
                    f" {type(by_name[name]).__module__}, one of {module.__name__}."
                )
            by_name[name] = preset
    return by_name


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the presets that match a shell-style pattern, sorted."""
    return sorted(name for name in presets() if fnmatchcase(name, pattern))


def config(name: str, **overrides: Any) -> Config:
    """Return the config of a preset, with some fields changed.

    Raises UnknownNameError for an unknown preset, ConfigError for an unknown field or
    a value that no such architecture can have.
    """
    if name not in presets():
        raise unknown("preset", name, presets())
    return presets()[name].override(**overrides)


def nearest_preset(config: Config) -> tuple[str | None, dict[str, Any]]:
    """Return the preset that differs from a config in the fewest fields.

    Returns:
        Its name, and the fields that differ with the config's values; (None, all
        fields) where no preset has a config of this class.
    """
    fields, candidates = config.to_dict(), []
    for name, preset in presets().items():
        if type(preset) is type(config):
            other = preset.to_dict()
            changed = {k: v for k, v in fields.items() if v != other[k]}
            candidates.append((name, changed))
    return min(candidates, key=lambda pair: len(pair[1]), default=(None, fields))


def family_of(config: Config) -> str:
    """Return the family: the name of the config's module."""
    return type(config).__module__.rpartition(".")[2]


def config_key(config: Config) -> str:
    """Return the name of this config's class in files: "module:class"."""
    return f"{type(config).__module__}:{type(config).__name__}"


def config_from_key(key: str, values: dict[str, Any]) -> Config:
    """Return the config that a file describes: the key of its class, and its fields.

    Only classes of known families are looked up: nothing in a file is imported.

    Raises ConfigError for any other key, and for fields that do not fit.
    """
    for module in families():
        for value in vars(module).values():
            if value is Config or not isinstance(value, type):
                continue
            if issubclass(value, Config):
                if f"{value.__module__}:{value.__name__}" == key:
                    return value.from_dict(values)
    raise ConfigError(
        f"no architecture {key!r}: if another package adds it, install that package."
    )


def backend_id(backend: str) -> str:
    """Return the id of a backend, from its id or an alias."""
    name = ALIASES.get(backend, backend)
    if name not in BACKENDS:
        raise unknown("backend", backend, (*BACKENDS, *ALIASES))
    return name


def get_backend(backend: str | Any) -> Backend:
    """Return a backend, by its id or alias, or the one of a model.

    Imports the framework. Raises MissingBackendError where it is not installed, and
    ZooError for an object that is no model of the zoo.
    """
    name = backend_id(backend) if isinstance(backend, str) else backend_of(backend)
    try:
        return cast("Backend", import_module(f"zoo.{name}"))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _FRAMEWORKS[name]:
            raise
        raise MissingBackendError(
            f"backend {name!r} needs {' and '.join(_FRAMEWORKS[name])}"
            f" ({error.name} is not installed): in a checkout of zoo, run"
            f" pip install '.[{name}]'."
        ) from None


def installed(backend: str) -> bool:
    """Return whether a backend's framework can be imported, without importing it."""
    return all(find_spec(name) for name in _FRAMEWORKS[backend_id(backend)])


def twin(config: Config, backend: str) -> type:
    """Return the class of this architecture in a backend."""
    get_backend(backend)  # raises where its framework is not installed
    module, name = config.twin(backend_id(backend))
    return getattr(import_module(module), name)


def backend_of(model: Any) -> str:
    """Return the backend id of a model, known from its class's module."""
    for cls in type(model).__mro__:
        parts = cls.__module__.split(".")
        if len(parts) > 2 and parts[-2] in BACKENDS and hasattr(model, "config"):
            return parts[-2]
    raise ZooError(
        f"{type(model).__name__} is not a model of the zoo: its class is in no torch,"
        " tf or jax package."
    )


def labelled(models: Sequence[Any]) -> dict[str, Any]:
    """Return the models by backend id, numbered where one backend has several."""
    names = [backend_of(m) for m in models]
    return {
        n if names.count(n) == 1 else f"{n}#{names[: i + 1].count(n)}": m
        for i, (n, m) in enumerate(zip(names, models))
    }
