"""Modules that have moved since 0.1, found under their old names, with a warning.

Only those that 0.1's documentation and examples named: what it wrote still runs.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

# Old module -> where its names are now.
MOVED = {
    "zoo.arithmetic": ("zoo.configs.arithmetic",),
    "zoo.batches": ("zoo.data.batches",),
    "zoo.callbacks": ("zoo.training.callbacks",),
    "zoo.datasets": ("zoo.data",),
    "zoo.masks": ("zoo.spec.masks",),
    "zoo.metrics": ("zoo.spec.metrics",),
    "zoo.numpy_reference": ("zoo.learn.numpy_reference",),
    "zoo.recipe": ("zoo.spec.recipe",),
    "zoo.runs": ("zoo.training.folder",),
    "zoo.train": ("zoo.training.fit", "zoo.training.evaluation", "zoo.training.resume"),
    "zoo.weights": ("zoo.files.weights",),
}
RENAMED = {("zoo.runs", "Folder"): "RunFolder"}


class _Finder(MetaPathFinder, Loader):
    """Makes a module of the names that have moved."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        for home in MOVED[name]:
            public = vars(import_module(home)).items()
            vars(module).update((k, v) for k, v in public if not k.startswith("__"))
        for (old, was), now in RENAMED.items():
            if old == name:
                setattr(module, was, getattr(module, now))
        warnings.warn(
            f"{name} is {' and '.join(MOVED[name])} now; the old name goes with 0.3.",
            DeprecationWarning,
            stacklevel=2,
        )


def install() -> None:
    """Let imports of the old names find the new modules; twice is once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
