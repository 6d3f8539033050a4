"""A run's folder: its description, its recipe, its metrics, its checkpoints.

    run.json        preset's config, data, backend, versions: enough to build it again
    recipe.json     the recipe
    metrics.jsonl   one JSON object for each training step and each evaluation
    checkpoints/
        best.json           which checkpoint is best, by which measure
        step-00000100/
            model.safetensors       weights and buffers, as `zoo.save` writes them
            optimizer.safetensors   moments under canonical names
            progress.json           step, epoch, loss scale, state of the callbacks
            history.jsonl           the metrics up to this step

Every file is written atomically, and so is a checkpoint as one folder. The order of the
data, augmentation and dropout are functions of (seed, step), so that the step number is
the only position and random state to save.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..backend import Model, State
from ..errors import FileError
from ..files.atomic import write_text
from ..files.safetensors import read_file, write_safetensors
from ..files.weights import save
from ..spec.recipe import Recipe
from .rows import json_line, read_rows

FORMAT_VERSION = 1
_OWN = ("run.json", "recipe.json", "metrics.jsonl")


class Checkpoint(NamedTuple):
    """What a run continues from."""

    path: Path
    weights: State
    slots: State
    progress: dict[str, Any]

    @property
    def averaged(self) -> State:
        """The weights; the averaged ones where the run has a moving average."""
        averages = {
            name.removeprefix("ema/"): value
            for name, value in self.slots.items()
            if name.startswith("ema/")
        }
        return self.weights | averages


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @property
    def metrics(self) -> Path:
        """The metrics file."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    def check_free(self, overwrite: bool = False) -> None:
        """Refuse a folder that is not empty, except a run that may be overwritten."""
        has_run = any((self.path / name).exists() for name in _OWN)
        if has_run and overwrite:
            return
        if self.path.is_file() or (self.path.is_dir() and any(self.path.iterdir())):
            content = "a run" if has_run else "something else"
            raise FileError(
                f"{self.path} holds {content} already: resume it, choose another"
                " folder, or ask to overwrite a run."
            )

    def create(
        self, about: Mapping[str, Any], recipe: Recipe, overwrite: bool = False
    ) -> None:
        """Begin a run in this folder, which must be empty.

        `overwrite` removes the files of an earlier run, and nothing else.
        """
        self.check_free(overwrite)
        if overwrite:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            for name in _OWN:
                (self.path / name).unlink(missing_ok=True)
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot make {self.path}: {error.strerror}.") from error
        self.write_recipe(recipe)
        facts = {"format_version": FORMAT_VERSION, **about}
        write_text(self.path / "run.json", json.dumps(facts, indent=2))

    def write_recipe(self, recipe: Recipe) -> None:
        """Write recipe.json; a run may be made longer when it is resumed."""
        write_text(self.path / "recipe.json", recipe.to_json())

    def about(self) -> dict[str, Any]:
        """Return the contents of run.json."""
        path = self.path / "run.json"
        about = _read(path)
        if (version := about.get("format_version")) != FORMAT_VERSION:
            raise FileError(
                f"{path} has format_version {version}; this zoo reads {FORMAT_VERSION}."
            )
        return about

    def recipe(self) -> Recipe:
        """Return the run's recipe."""
        return Recipe.read(self.path / "recipe.json")

    def steps(self) -> list[int]:
        """Return the steps of all complete checkpoints, in order."""
        if not self.checkpoints.is_dir():
            return []
        names = (p.name for p in self.checkpoints.iterdir() if p.is_dir())
        tails = (n.removeprefix("step-") for n in names if n.startswith("step-"))
        return sorted(int(t) for t in tails if t.isdecimal())

    def at(self, step: int) -> Path:
        """Return the path of the checkpoint of a step."""
        return self.checkpoints / f"step-{step:08d}"

    def best(self) -> dict[str, Any] | None:
        """Return {"step", "monitor", "value"} of the best checkpoint, or None."""
        path = self.checkpoints / "best.json"
        if not path.exists():
            return None
        best = _read(path)
        if type(best.get("step")) is not int:
            raise FileError(f"{path} is damaged: it names no step.")
        return best

    def write(
        self,
        model: Model,
        slots: State,
        progress: dict[str, Any],
        keep: int,
        every: int | None = None,
    ) -> Path:
        """Write a checkpoint of the step in `progress`, and remove old ones.

        The last `keep` stay, and the best, whose step is in `progress["best"]`. With
        `every` only multiples of it count among the last; others stay as long as they
        are the best.
        """
        step, best = progress["step"], progress.get("best")
        path = self.at(step)
        try:
            temporary = Path(tempfile.mkdtemp(dir=self.checkpoints, prefix=".step-"))
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}.") from error
        try:
            save(model, temporary / "model.safetensors")
            write_safetensors(slots, temporary / "optimizer.safetensors", {})
            text = json.dumps(progress, indent=2, default=_scalar)
            write_text(temporary / "progress.json", text)
            if self.metrics.exists():
                shutil.copyfile(self.metrics, temporary / "history.jsonl")
            temporary.chmod(0o755)
            if path.exists():  # a folder cannot replace another that is not empty
                path.replace(temporary / "old")
            temporary.replace(path)
            shutil.rmtree(path / "old", ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        if best:
            write_text(self.checkpoints / "best.json", json.dumps(best))
        last = [s for s in self.steps() if not every or s % every == 0][-keep:]
        for old in self.steps():
            if old not in (*last, step, best and best["step"]):
                shutil.rmtree(self.at(old), ignore_errors=True)
        return path

    def read(self, step: int | None = None) -> Checkpoint:
        """Return a checkpoint: of a step, or the last.

        Raises FileError if there is none, or one of its files is damaged.
        """
        known = self.steps()
        if not known or (step is not None and step not in known):
            steps = ", ".join(map(str, known)) or "none"
            raise FileError(f"{self.path} has no such checkpoint; it has: {steps}.")
        path = self.at(known[-1] if step is None else step)
        weights, _ = read_file(path / "model.safetensors")
        slots, _ = read_file(path / "optimizer.safetensors")
        return Checkpoint(path, weights, slots, _read(path / "progress.json"))

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the metrics file, without a half-written last line."""
        return read_rows(self.metrics) if self.metrics.exists() else []

    def rewind(self, checkpoint: Checkpoint) -> list[dict[str, Any]]:
        """Reset the metrics to those of a checkpoint; return their rows."""
        history = checkpoint.path / "history.jsonl"
        if not history.exists():
            raise FileError(f"no such file: {history}.")
        rows = read_rows(history)
        write_text(self.metrics, "".join(map(json_line, rows)))
        for later in self.steps():
            if later > checkpoint.progress["step"]:
                shutil.rmtree(self.at(later), ignore_errors=True)
        for half in self.checkpoints.glob(".step-*"):  # left by a killed process
            shutil.rmtree(half, ignore_errors=True)
        return rows


def _scalar(value: Any) -> Any:
    """Return a NumPy number as a Python number, for JSON."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a callback's state must be JSON; got {type(value).__name__}.")


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileError(f"no such file: {path}; is {path.parent} the folder of a run?")
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise FileError(f"{path} is not JSON: {error}.") from None
    if not isinstance(content, dict):
        raise FileError(f"{path} must hold a JSON object.")
    return content
