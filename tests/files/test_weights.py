"""Models and their files: round trips between backends, and what is refused."""

import json
import struct

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file

import zoo
from tests.files.states import same
from zoo.errors import ConfigError, FileError, InputError, StateError


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_a_file_serves_every_backend(model, file, backend, tmp_path):
    other = zoo.load(file, backend=backend)
    assert zoo.backend_of(other) == backend
    assert same(zoo.state(other), zoo.state(model))
    again = tmp_path / "again.safetensors"
    zoo.save(other, again)
    assert same(zoo.state(zoo.load(again)), zoo.state(model))


def test_the_zoos_own_torch_class_loads_a_file_strictly(model, file):
    fresh = type(model)(model.config)
    fresh.load_state_dict(load_file(file), strict=True)
    assert same(zoo.state(fresh), zoo.state(model))


def test_state_is_a_copy(model):
    state = zoo.state(model)
    assert not any("num_batches_tracked" in name for name in state)
    before = state["head.bias"].copy()
    state["head.bias"][:] = 99
    assert np.array_equal(zoo.state(model)["head.bias"], before)


def rewritten(path, change):
    """Change the file's header (a dict) in place."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def test_a_newer_format_is_refused_by_name(file):
    newer = {"format_version": "2", "zoo_version": "9.9"}
    rewritten(file, lambda h: h["__metadata__"].update(newer))
    with pytest.raises(FileError, match=r"format_version 2, written by zoo 9\.9"):
        zoo.load(file)


def test_an_unknown_architecture_is_not_imported(file):
    other = {"architecture": "os:system"}
    rewritten(file, lambda h: h["__metadata__"].update(other))
    with pytest.raises(FileError, match="no architecture 'os:system'"):
        zoo.load(file)


def test_the_wrong_architecture(file):
    with pytest.raises(ConfigError, match="not the architecture that was asked for"):
        zoo.load(file, name="resnet18")


def test_a_foreign_file_needs_a_name(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"head.weight": np.zeros((2, 4), np.float32)}, path)
    with pytest.raises(FileError, match="pass name="):
        zoo.load(path)
    with pytest.raises(StateError, match="missing"):
        zoo.load(path, name="tiny_mlp")


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_convert_puts_the_model_on_a_device(backend):
    model = zoo.build("tiny_mlp", seed=1)
    other = zoo.convert(model, backend, device="cpu")
    assert same(zoo.state(other), zoo.state(model))
    with pytest.raises(InputError, match="device 'abacus:7' is not usable"):
        zoo.convert(model, backend, device="abacus:7")
    if backend == "torch":  # PyTorch has a second device everywhere
        bare = zoo.convert(model, backend, device="meta")
        assert {p.device.type for p in bare.parameters()} == {"meta"}


def test_convert_keeps_dtype_and_weights():
    model = zoo.build("tiny_mlp", "torch", dtype="float64")
    other = zoo.convert(model, "tf")
    assert zoo.state(other)["head.weight"].dtype == np.float64
    assert same(zoo.state(other), zoo.state(model))


def test_half_precision_files(tmp_path):
    for dtype in ("float16", "bfloat16"):
        path = tmp_path / f"{dtype}.safetensors"
        model = zoo.build("tiny_mlp", "torch", dtype=dtype)
        zoo.save(model, path)
        assert same(zoo.state(zoo.load(path, "tf")), zoo.state(zoo.load(path, "jax")))


@pytest.mark.parametrize("preset", ["sentiment_lstm", "gru_2x256", "unet_bn"])
def test_export_for_the_plain_framework(preset, tmp_path):
    import keras

    from zoo.files.weights import export_native

    model = zoo.build(zoo.config(preset).small(), "jax", seed=2)
    export_native(model, tmp_path / "torch.safetensors", "torch")
    tensors = load_file(tmp_path / "torch.safetensors")
    if preset == "sentiment_lstm":
        plain = torch.nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True)
        own = {k[4:]: v for k, v in tensors.items() if k.startswith("rnn.")}
        plain.load_state_dict(own, strict=True)
        x = np.random.default_rng(0).normal(size=(2, 9, 6)).astype(np.float32)
        ours = zoo.convert(model, "torch").eval().rnn(torch.from_numpy(x))[0]
        assert torch.equal(plain(torch.from_numpy(x))[0], ours)
    export_native(model, tmp_path / "model.keras", "tf")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert same(zoo.state(again), zoo.state(model))
    export_native(model, tmp_path / "jax.safetensors", "jax")
    assert load_file(tmp_path / "jax.safetensors")
    with pytest.raises(FileError, match=r"ends in \.keras"):
        export_native(model, tmp_path / "model.h5", "tf")


@pytest.mark.parametrize("source", ["torch", "tf", "jax"])
@pytest.mark.parametrize("target", ["torch", "tf", "jax"])
def test_bfloat16_crosses(source, target, tmp_path):
    model = zoo.build("tiny_mlp", source, dtype="bfloat16")
    other = zoo.convert(model, target)
    zoo.save(model, tmp_path / "model.safetensors")
    again = zoo.load(tmp_path / "model.safetensors", target)
    for found in (other, again):
        assert zoo.registry.get_backend(target).dtype_of(found) == "bfloat16"
        for key, value in zoo.state(found).items():
            single = zoo.state(model)[key].astype(np.float32)
            assert np.array_equal(value.astype(np.float32), single)


def test_wrong_arguments_of_load(file):
    with pytest.raises(ConfigError, match="give name="):
        zoo.load(file, num_clases=3)
    with pytest.raises(zoo.ZooError, match="Did you mean 'float32'"):
        zoo.load(file, dtype="flaot32")


def test_a_keras_file_in_a_fresh_process(tmp_path):
    import subprocess
    import sys

    from zoo.files.weights import export_native

    model = zoo.build("tiny_mlp", "jax")
    export_native(model, tmp_path / "model.keras", "tf")
    x = zoo.example_inputs(model)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, keras, numpy as np, zoo.tf.mlp\n"
        "model = keras.models.load_model(sys.argv[1] + '/model.keras')\n"
        "y = model(np.load(sys.argv[1] + '/x.npy'))\n"
        "np.save(sys.argv[1] + '/y.npy', keras.ops.convert_to_numpy(y))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    y = np.load(tmp_path / "y.npy")
    np.testing.assert_allclose(y, zoo.predict(model, x), atol=1e-6)
