"""What a study compares: entries times columns times seeds; each product is a cell."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

from .. import data as datasets
from ..configs._base import Config
from ..errors import ConfigError, FileError, ZooError, did_you_mean
from ..registry import BACKENDS, backend_id, config_key
from ..registry import config as preset_config
from ..spec.recipe import Recipe
from ..version import versions
from . import modes
from .machine import source, usable_cores


class Column(NamedTuple):
    """A framework in one of its modes."""

    backend: str
    mode: str

    def __str__(self) -> str:
        return f"{self.backend}:{self.mode}"

    @property
    def title(self) -> str:
        """For people: "Keras, XLA"."""
        return modes.find(*self).title


def columns(words: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns for words such as "torch", "tf:xla" and "jax:all"."""
    result: list[Column] = []
    for word in words:
        backend, colon, mode = word.partition(":")
        backend = backend_id(backend)
        known = list(modes.MODES[backend])
        if mode == "all":
            result += [Column(backend, m) for m in known]
            continue
        if colon:
            modes.find(backend, mode)  # raises if there is none
        result.append(Column(backend, mode or known[0]))
    return tuple(dict.fromkeys(result))


def one_column(word: str) -> Column:
    """Return the one column for a word."""
    result = columns([word])
    if len(result) > 1:
        raise ConfigError(f"one column is wanted; {word!r} are {len(result)}.")
    return result[0]


@dataclass(frozen=True)
class Entry:
    """One network of a study: a preset, changed, with its data and its recipe.

    Args:
        preset: whose config it is.
        label: its name in rows and charts; the preset's by default.
        changes: config fields by name.
        data: name of a data set, which sets the config's classes and channels. With
            None, the samples of `zoo.data.samples` are timed and nothing is trained.
        recipe: of the timed training step, and of the training run.
    """

    preset: str
    label: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.preset)
        for name in ("preset", "label"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"{name} must be text; got {getattr(self, name)!r}.")

    @cached_property
    def config(self) -> Config:
        """The preset's config with the data set's sizes and the entry's changes."""
        config = preset_config(self.preset, **self.changes)
        if self.data is None:
            return config
        return config.override(
            **datasets.overrides(self.data, config, keep=self.changes)
        )


class Cell(NamedTuple):
    """One network in one column from one seed."""

    entry: Entry
    column: Column
    seed: int

    @property
    def title(self) -> str:
        """For people: "cnn in Keras, XLA, seed 0"."""
        return f"{self.entry.label} in {self.column.title}, seed {self.seed}"


def job(cell: Cell, threads: int, device: str) -> dict[str, Any]:
    """Return the arguments of a worker's Bench, as JSON values."""
    config = cell.entry.config
    return {
        "architecture": config_key(config),
        "config": config.to_dict(),
        "backend": cell.column.backend,
        "mode": cell.column.mode,
        "seed": cell.seed,
        "threads": threads,
        "data": cell.entry.data,
        "recipe": cell.entry.recipe.to_json(),
        "device": device,
    }


def entry_of(
    preset: str,
    config: Config,
    data: str | None = None,
    recipe: Recipe | None = None,
    by_hand: Collection[str] = (),
) -> Entry:
    """Return the entry of a preset whose config was changed.

    A data set changes fields of the config, but none that is named in `by_hand`.
    """
    if data is not None:
        config = config.override(**datasets.overrides(data, config, keep=by_hand))
    usual = preset_config(preset)
    changed = {
        f.name: getattr(config, f.name)
        for f in fields(config)
        if f.name in by_hand or getattr(config, f.name) != getattr(usual, f.name)
    }
    return Entry(preset, preset, changed, data, recipe or Recipe())


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that defines a study, and nothing about the machine.

    Args:
        entries, columns, seeds: the cells are their product.
        batch_sizes: of the timed steps; if empty, nothing is timed.
        train: also run each entry's recipe to its end, and evaluate.
        target: accuracy; the seconds until a run reaches it are in its row.
        baseline: column that the others' times are divided by; None: the first.
        rounds: measurements of each step time, in turn with the other columns'.
        seconds: that all rounds of one batch size may take, roughly; there are at
            least five rounds.
        threads: of each cell; 0: all cores that this process may use.
        device: of each cell, as in `build`; with "cpu" accelerators are hidden.
        proof: dtypes of the proof; a cell that fails it is not timed. If empty,
            nothing is proven. ("float64",) is for networks so deep that rounding in
            float32 is larger than their gradients.
        name, description: of the study.
    """

    entries: tuple[Entry, ...]
    columns: tuple[Column, ...] = columns(BACKENDS)
    seeds: tuple[int, ...] = (0,)
    batch_sizes: tuple[int, ...] = (1, 32, 256)
    train: bool = False
    target: float | None = None
    baseline: Column | None = None
    rounds: int = 12
    seconds: float = 10.0
    threads: int = 0
    device: str = "cpu"
    proof: tuple[str, ...] = ("float64", "float32")
    name: str = "study"
    description: str = ""

    def __post_init__(self) -> None:
        self._check_types()
        self._check_proof()
        if not self.entries or not self.columns or not self.seeds:
            raise ConfigError("a study needs at least one preset, backend and seed.")
        labels = [entry.label for entry in self.entries]
        for label in labels:
            if labels.count(label) > 1:
                raise ConfigError(f"two entries are called {label!r}: label them.")
        for name in ("batch_sizes", "seeds"):
            values = getattr(self, name)
            least = 1 if name == "batch_sizes" else 0
            if any(type(v) is not int or v < least for v in values):
                raise ConfigError(
                    f"{name} must be integers from {least}; got {values}."
                )
            object.__setattr__(self, name, tuple(sorted(set(values))))
        if not self.batch_sizes and not self.train:
            raise ConfigError("nothing to do: give batch sizes to time, or train.")
        if self.rounds < 5:
            raise ConfigError(f"rounds must be at least 5; got {self.rounds}.")
        cores = usable_cores()
        if not 0 <= self.threads <= cores:
            raise ConfigError(f"threads must be 0 to {cores}; got {self.threads}.")
        object.__setattr__(self, "threads", self.threads or cores)
        object.__setattr__(self, "baseline", self.baseline or self.columns[0])
        if self.baseline not in self.columns:
            raise ConfigError(f"the baseline {self.baseline} is none of the columns.")
        for entry in self.entries:
            if self.train and entry.data is None:
                raise ConfigError(f"{entry.label} has no data to train on.")
            _ = entry.config  # raises if there is no such network

    def _check_proof(self) -> None:
        if self.proof not in ((), ("float64",), ("float64", "float32")):
            raise ConfigError(
                "proof must be float64, or float64 and float32, or nothing; got"
                f" {self.proof}."
            )
        for column in self.columns:
            if self.proof == ("float64",) and not modes.find(*column).exact:
                raise ConfigError(
                    f"{column} computes in float32 alone: add float32 to proof."
                )

    def _check_types(self) -> None:
        wanted: dict[str, tuple[type, ...]] = {
            "name": (str,), "description": (str,), "device": (str,), "train": (bool,),
            "rounds": (int,), "threads": (int,), "seconds": (int, float),
            "target": (int, float, NoneType),
        }  # fmt: skip
        for name, kinds in wanted.items():
            value = getattr(self, name)
            if type(value) not in kinds:
                words = " or ".join(k.__name__ for k in kinds)
                raise ConfigError(f"{name} must be {words}; got {value!r}.")
        if self.seconds <= 0:
            raise ConfigError(f"seconds must be positive; got {self.seconds}.")

    def groups(self) -> list[list[Cell]]:
        """Return the cells, grouped: those of a group are timed in turn."""
        return [
            [Cell(entry, column, seed) for column in self.columns]
            for entry in self.entries
            for seed in self.seeds
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["entries"] = [
            {
                **asdict(entry),
                "changes": dict(entry.changes),
                "recipe": _json(entry.recipe),
            }
            for entry in self.entries
        ]
        return json.loads(json.dumps(values, default=str))

    def key(self, cell: Cell, machine: str) -> str:
        """Return the address of a cell: a hash of all that its results depend on."""
        entry = cell.entry
        parts = {
            "label": entry.label,
            "architecture": config_key(entry.config),
            "config": entry.config.to_dict(),
            "column": list(cell.column),
            "seed": cell.seed,
            "data": entry.data,
            "recipe": _json(entry.recipe),
            "baseline": list(self.baseline or ()),
            **{
                name: getattr(self, name)
                for name in ("batch_sizes", "train", "target", "rounds", "seconds")
            },
            "threads": self.threads,
            "device": self.device,
            "environment": {k: os.environ[k] for k in _VARIABLES if k in os.environ},
            "proof": self.proof,
            "machine": machine,
            "versions": versions(),
            "source": source(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


# Environment variables of the driver that also affect the cells.
_VARIABLES = (
    "XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "CUDA_VISIBLE_DEVICES",
    "JAX_PLATFORMS", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS",
)  # fmt: skip


def _json(recipe: Recipe) -> dict[str, Any]:
    return json.loads(recipe.to_json())


# Study files.

_STUDY = (
    "name", "description", "seeds", "batch_sizes", "train", "target", "baseline",
    "rounds", "seconds", "threads", "device", "proof",
)  # fmt: skip
_ENTRY = ("preset", "label", "set", "data", "recipe")
_TOP = (*_STUDY, "backends", "data", "recipe", "entry")


def read(path: str | os.PathLike[str], **changes: Any) -> Plan:
    """Return the plan of a study file (TOML, documented in docs/studies.md).

    Args:
        path: of the file.
        **changes: fields of the Plan to change.
    """
    try:
        values = tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"{path} is no TOML: {error}.") from None
    try:
        return _plan(values, changes, Path(path).stem)
    except FileError:
        raise
    except (ZooError, TypeError, ValueError, AttributeError) as error:
        raise FileError(f"{path}: {error}") from None


def _plan(study: dict[str, Any], changes: dict[str, Any], stem: str) -> Plan:
    _check_fields(study, _TOP)
    entries = study.get("entry", [])
    if not isinstance(entries, list) or not entries:
        raise ConfigError("a study file needs at least one [[entry]] with a preset.")
    common = study.get("recipe", {})
    values: dict[str, Any] = {k: study[k] for k in _STUDY if k in study}
    for name in ("seeds", "batch_sizes", "proof"):
        if name in values:
            values[name] = tuple(values[name])
    if "baseline" in values:
        values["baseline"] = one_column(values["baseline"])
    values["columns"] = columns(study.get("backends", BACKENDS))
    values["entries"] = tuple(
        _entry(entry, study.get("data"), common) for entry in entries
    )
    values = {"name": stem, **values, **changes}
    return Plan(**values)


def _entry(values: dict[str, Any], data: str | None, common: dict[str, Any]) -> Entry:
    _check_fields(values, _ENTRY)
    if "preset" not in values:
        raise ConfigError("each [[entry]] needs a preset.")
    recipe = {**common, **values.get("recipe", {})}
    if "seed" in recipe:
        raise ConfigError("seeds are the study's: give seeds = […] beside the recipe.")
    return Entry(
        preset=values["preset"],
        label=values.get("label", ""),
        changes=values.get("set", {}),
        data=values.get("data", data),
        recipe=Recipe().override(**_tuples(recipe)),
    )


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _check_fields(values: dict[str, Any], names: Sequence[str]) -> None:
    for name in values:
        if name not in names:
            raise ConfigError(
                f"no field {name!r}.{did_you_mean(name, names)} Fields:"
                f" {', '.join(names)}."
            )
