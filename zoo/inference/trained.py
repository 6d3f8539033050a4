"""Open a trained model: a run's checkpoint, or a saved file."""

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
    """A model and what is known of its training."""

    model: Model
    recipe: Recipe
    data: str  # name of the data set
    path: Path | None  # of its files
    classes: tuple[str, ...]  # none where not known
    step: int | None

    @property
    def loss(self) -> str:
        """The loss that the model was trained with."""
        return self.recipe.loss_for(self.model.config)

    def dataset(self, path: str | os.PathLike[str] | None = None) -> Dataset:
        """Return the data set that the model is trained on, with its own split.

        Args:
            path: of its files, where they are not where the run found them.
        """
        path, seed = path or self.path, self.recipe.seed
        config = self.model.config
        return load_dataset(self.data, config, seed=seed, path=path, loss=self.loss)


def backend_of_run(path: str | os.PathLike[str]) -> str | None:
    """Return the backend in which a run began; None for what is no run's folder."""
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

    Where the run has a moving average of its weights, the model gets that.

    Args:
        path: of the folder or the file.
        backend: to run in; None: the one that the run began in, or torch for a file.
        device: as in `build`.
        step: of the checkpoint; None: the last.
        best: take the best checkpoint.
        data: name of another data set than the run's; a file needs one.

    Raises:
        ConfigError: for a step beside `best`, either of a file, or a file without data.
        FileError: for what is no run and no such file, or has no such checkpoint.
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
    if (best := folder.best()) is None:
        raise FileError(f"{folder.path} has no best checkpoint: it was not evaluated.")
    return best["step"]
