"""`zoo convert`: files for each plain framework, and what it refuses."""

import numpy as np
import pytest

import zoo
from tests.cli.invoked import fails, loads, run


@pytest.fixture(scope="module")
def model():
    return zoo.build("tiny_mlp", seed=5)


@pytest.fixture
def saved(model, tmp_path):
    zoo.save(model, tmp_path / "in.safetensors")
    return tmp_path / "in.safetensors"


def test_convert_writes_what_the_plain_framework_loads(saved, model, tmp_path):
    from safetensors.numpy import load_file

    weights = zoo.state(model)
    out = tmp_path / "torch.safetensors"
    assert (
        "MLP for PyTorch, 26 parameters"
        in run("convert", saved, out, "--to", "torch").stdout
    )
    assert load_file(out).keys() == weights.keys()
    out = tmp_path / "jax.safetensors"
    found = loads("convert", saved, out, "--to", "flax")
    assert found["bytes"] == out.stat().st_size
    kernels = load_file(out)
    assert np.array_equal(kernels["head.kernel"], weights["head.weight"].T)
    out = tmp_path / "m.keras"
    run("convert", saved, out, "--to", "keras")
    import keras

    again = keras.models.load_model(out)
    x = zoo.example_inputs(model)
    assert np.allclose(zoo.predict(again, x), zoo.predict(model, x), atol=1e-6)


def test_convert_a_foreign_file_needs_its_name(model, tmp_path):
    from safetensors.numpy import save_file

    path, out = tmp_path / "plain.safetensors", tmp_path / "out.safetensors"
    save_file(zoo.state(model), path)
    assert "--name" in fails("convert", path, out, "--to", "jax")
    run("convert", path, out, "--to", "jax", "--name", "tiny_mlp")
    out.unlink()
    args = ["convert", path, out, "--to", "jax", "--name", "tiny_mlp"]
    result = run(*args, "--set", "num_classes=3", code=2)
    first, *rest = result.stderr.splitlines()
    assert first.startswith("zoo: ")
    assert any("head.weight: expected (3, 4), got (2, 4)" in line for line in rest)
    assert not out.exists()


def test_convert_refuses_to_write_over_its_input(saved):
    before = saved.read_bytes()
    assert "the same file" in fails("convert", saved, saved, "--to", "torch")
    assert "ends in .keras" in fails("convert", saved, f"{saved}.h5", "--to", "tf")
    assert "cannot write" in fails("convert", saved, "/nowhere/x", "--to", "torch")
    assert saved.read_bytes() == before
