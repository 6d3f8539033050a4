"""Old module names of 0.1, which still import, with a DeprecationWarning.

Only the modules that 0.1's documentation and examples named are here.
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

# Old module -> the modules that hold its names now.
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
# (Old module, old name) -> new name.
RENAMED = {("zoo.runs", "Folder"): "RunFolder"}


def install() -> None:
    """Make the old names importable; a second call does nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _Finder(MetaPathFinder, Loader):
    """Imports an old module: one with the contents of the new modules."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        warnings.warn(
            f"{old} is now {' and '.join(MOVED[old])}; the old name goes with 0.3.",
            DeprecationWarning,
            # The line with the import: Python skips the frames of its import system.
            stacklevel=2,
        )
        for new in MOVED[old]:
            contents = vars(import_module(new)).items()
            vars(module).update((k, v) for k, v in contents if not k.startswith("__"))
        for (owner, old_name), new_name in RENAMED.items():
            if owner == old:
                setattr(module, old_name, getattr(module, new_name))
