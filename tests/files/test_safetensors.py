"""Files read: damaged, of another kind, or missing."""

import struct

import pytest
import torch

import zoo
from tests.files.states import same
from zoo.errors import FileError


def test_a_truncated_file(file):
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(FileError, match="truncated"):
        zoo.load(file)
    file.write_bytes(b"abc")
    with pytest.raises(FileError, match="truncated"):
        zoo.load(file)


def test_an_oversized_header(file):
    file.write_bytes(struct.pack("<Q", 2**62) + file.read_bytes()[8:])
    with pytest.raises(FileError, match="truncated or no safetensors"):
        zoo.load(file)


def test_a_header_that_is_no_header(file):
    file.write_bytes(struct.pack("<Q", 4) + b"nope")
    with pytest.raises(FileError, match="header"):
        zoo.load(file)


def test_no_such_file(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        zoo.load(tmp_path / "nowhere.safetensors")


def test_a_torch_pickle_is_read_as_weights_only(tmp_path):
    model = zoo.build("tiny_mlp", seed=5)
    path = tmp_path / "model.pth"
    torch.save(model.state_dict(), path)
    other = zoo.load(path, backend="jax", name="tiny_mlp")
    assert same(zoo.state(other), zoo.state(model))
    torch.save(model, path)  # a whole object: code to run
    with pytest.raises(FileError, match="not a file of weights only"):
        zoo.load(path, name="tiny_mlp")
