"""What a model looks at, and why its loss does not fall; the same in every backend.

Pictures: feature maps, Grad-CAM, saliency. Numbers: activations and gradients of every
layer after one forward and backward pass, and findings in words about what is wrong.

A layer is a submodule that has weights, or a block of them, so all backends have the
same layers. An activation or a pooling has no weights and is no layer.
"""

from .diagnosis import Finding, LayerFigures, diagnose
from .layers import statistics
from .maps import Maps, feature_maps, grad_cam, saliency

__all__ = [
    "Finding",
    "LayerFigures",
    "Maps",
    "diagnose",
    "feature_maps",
    "grad_cam",
    "saliency",
    "statistics",
]
