"""Every architecture natively in PyTorch, Keras and Flax, proven to be the same.

    from zoo import build
    model = build("unet", backend="jax")

Importing `zoo` loads no framework, and not even NumPy, until something is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import moved
from .version import __version__

if TYPE_CHECKING:
    from . import explain as explain
    from .data import Dataset as Dataset
    from .errors import ZooError as ZooError
    from .files.weights import convert as convert
    from .files.weights import load as load
    from .files.weights import load_state as load_state
    from .files.weights import save as save
    from .files.weights import state as state
    from .inference.generation import generate as generate
    from .models import build as build
    from .models import count_parameters as count_parameters
    from .models import example_inputs as example_inputs
    from .models import predict as predict
    from .models import trace as trace
    from .parity.check import check as check
    from .parity.report import Report as Report
    from .registry import backend_of as backend_of
    from .registry import config as config
    from .registry import list_models as list_models
    from .spec.recipe import Recipe as Recipe
    from .training.callbacks import Callback as Callback
    from .training.evaluation import evaluate as evaluate
    from .training.fit import fit as fit
    from .training.history import History as History
    from .training.lr_find import lr_find as lr_find
    from .training.resume import resume as resume

_HOME = {
    "Dataset": "data",
    "ZooError": "errors",
    "convert": "files.weights",
    "load": "files.weights",
    "load_state": "files.weights",
    "save": "files.weights",
    "state": "files.weights",
    "generate": "inference.generation",
    "build": "models",
    "count_parameters": "models",
    "example_inputs": "models",
    "predict": "models",
    "trace": "models",
    "check": "parity.check",
    "Report": "parity.report",
    "backend_of": "registry",
    "config": "registry",
    "list_models": "registry",
    "Recipe": "spec.recipe",
    "Callback": "training.callbacks",
    "evaluate": "training.evaluation",
    "fit": "training.fit",
    "History": "training.history",
    "lr_find": "training.lr_find",
    "resume": "training.resume",
}

__all__ = ["__version__", "explain", *_HOME]

moved.install()


def __getattr__(name: str) -> Any:
    if name == "explain":  # a package of its own: zoo.explain.grad_cam
        return import_module(".explain", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
