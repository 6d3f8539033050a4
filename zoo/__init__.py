"""Every architecture natively in PyTorch, Keras and Flax, proven to be the same.

    from zoo import build
    model = build("unet", backend="jax")

Importing `zoo` loads no framework, and not even NumPy, until something is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import explain as explain
    from .callbacks import Callback as Callback
    from .datasets import Dataset as Dataset
    from .errors import ZooError as ZooError
    from .generation import generate as generate
    from .models import build as build
    from .models import count_parameters as count_parameters
    from .models import example_inputs as example_inputs
    from .models import predict as predict
    from .models import trace as trace
    from .parity import Report as Report
    from .parity import check as check
    from .range_test import lr_find as lr_find
    from .recipe import Recipe as Recipe
    from .registry import backend_of as backend_of
    from .registry import config as config
    from .registry import list_models as list_models
    from .train import History as History
    from .train import evaluate as evaluate
    from .train import fit as fit
    from .train import resume as resume
    from .weights import convert as convert
    from .weights import load as load
    from .weights import load_state as load_state
    from .weights import save as save
    from .weights import state as state

__version__ = "0.1.0"

_HOME = {
    "ZooError": "errors",
    "Callback": "callbacks",
    "Dataset": "datasets",
    "generate": "generation",
    "build": "models",
    "count_parameters": "models",
    "example_inputs": "models",
    "predict": "models",
    "trace": "models",
    "Report": "parity",
    "check": "parity",
    "lr_find": "range_test",
    "Recipe": "recipe",
    "backend_of": "registry",
    "config": "registry",
    "list_models": "registry",
    "History": "train",
    "evaluate": "train",
    "fit": "train",
    "resume": "train",
    "convert": "weights",
    "load": "weights",
    "load_state": "weights",
    "save": "weights",
    "state": "weights",
}

__all__ = ["__version__", "explain", *_HOME]


def __getattr__(name: str) -> Any:
    if name == "explain":  # a module of its own: zoo.explain.grad_cam
        return import_module(".explain", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
