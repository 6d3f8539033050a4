"""Opening a trained model: a run's checkpoint, or a saved file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ..backend import Model
from ..data import Dataset
from ..data import load as load_dataset
from ..errors import ConfigError, FileError
from ..files.weights import load
from ..spec.recipe import Recipe
from ..training.folder import RunFolder
from ..training.resume import revive


class Trained(NamedTuple):
    """A model, and how it was trained."""

    model: Model
    recipe: Recipe
    data: str  # name of the data set
    path: Path | None  # of the data set's files
    classes: tuple[str, ...]  # empty if unknown
    step: int | None  # of the checkpoint; None of a file

    @property
    def loss(self) -> str:
        """The loss that the model was trained with."""
        return self.recipe.loss_for(self.model.config)

    def dataset(self, path: str | os.PathLike[str] | None = None) -> Dataset:
        """Return the data set that the model is trained on, with its own split.

        Args:
            path: of its files, if they have moved since the run.
        """
        path, seed = path or self.path, self.recipe.seed
        config = self.model.config
        return load_dataset(self.data, config, seed=seed, path=path, loss=self.loss)


def backend_of_run(path: str | os.PathLike[str]) -> str | None:
    """Return the backend in which a run began, or None for a file."""
    return None if Path(path).is_file() else RunFolder(path).about().get("backend")


def open_trained(
    path: str | os.PathLike[str],
    backend: str | None = None,
    *,
    device: str | None = None,
    step: int | None = None,
    best: bool = False,
    data: str | None = None,
) -> Trained:
    """Return the model of a run's folder, or of a file that zoo wrote.

    If the run kept a moving average of its weights, the model has the averaged ones.

    Args:
        path: of the folder or the file.
        backend: to run in; None is the run's own, or torch for a file.
        device: as in `build`.
        step: of the checkpoint; None is the last.
        best: choose the best checkpoint.
        data: name of another data set than the run's; required for a file.

    Raises:
        ConfigError: for both `step` and `best`, for one of them with a file, or for a
            file without `data`.
        FileError: for a path that is neither, or a checkpoint that does not exist.
    """
    if best and step is not None:
        raise ConfigError("choose a step or the best checkpoint, not both.")
    if Path(path).is_file():
        if best or step is not None:
            raise ConfigError(f"{path} is a file, which has no steps to choose from.")
        if data is None:
            raise ConfigError(f"{path} does not say what it was trained on: give data.")
        model = load(path, backend or "torch", device=device)
        return Trained(model, Recipe(), data, None, (), None)
    folder = RunFolder(path)
    if best:
        step = _best_step(folder)
    model, recipe, checkpoint, about = revive(
        folder, backend, device=device, step=step, averaged=True
    )
    step = checkpoint.progress.get("step")
    if data is not None:
        return Trained(model, recipe, data, None, (), step)
    try:
        data, classes = about["data"], tuple(about["classes"])
    except KeyError as error:
        raise FileError(f"{folder.path / 'run.json'} lacks {error}.") from None
    files = Path(about["data_path"]) if about.get("data_path") else None
    return Trained(model, recipe, data, files, classes, step)


def _best_step(folder: RunFolder) -> int:
    """Return the step of a run's best checkpoint."""
    if (best := folder.best()) is None:
        raise FileError(f"{folder.path} has no best checkpoint: it was not evaluated.")
    return best["step"]
