"""A model and its file."""

import pytest
import torch

import zoo


@pytest.fixture(scope="module")
def model():
    """A small U-Net with BatchNorm, its running statistics moved."""
    model = zoo.build(zoo.config("unet_bn").small(), "torch", seed=3)
    model.train()
    model(torch.ones(2, 3, 12, 12))
    return model


@pytest.fixture
def file(model, tmp_path):
    """The model as a file."""
    path = tmp_path / "unet.safetensors"
    zoo.save(model, path)
    return path
