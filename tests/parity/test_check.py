"""`zoo.check` on models as they stand, and what it does not let pass."""

import numpy as np
import pytest
import torch

import zoo
from zoo import ZooError


def test_check_sees_a_model_as_it_stands():
    config = zoo.config("unet_bn").small()
    a, b = zoo.build(config, "torch"), zoo.build(config, "jax")
    assert zoo.check(a, b, dtypes=["float64"]).ok
    with torch.no_grad():
        a.head.bias += 1
    report = zoo.check(a, b, dtypes=["float64"])
    assert report.first_divergence.rung == "initial weights"
    zoo.load_state(b, zoo.state(a))
    assert zoo.check(a, b, dtypes=["float64"]).ok
    b.down[0].norm1.epsilon = 1e-3
    report = zoo.check(a, b, dtypes=["float64"])
    assert not report.ok
    assert report.first_divergence.where == "down.0.norm1"
    assert "eps" in report.first_divergence.cause
    assert '"ok": false' in report.to_json()
    assert "down.0.norm1" in str(report)


def test_check_changes_nothing():
    config = zoo.config("unet_bn").small()
    models = [zoo.build(config, b) for b in ("torch", "tf", "jax")]
    before = [zoo.state(m) for m in models]
    models[0].train()
    zoo.check(*models)
    assert models[0].training
    for model, old in zip(models, before):
        new = zoo.state(model)
        assert all(np.array_equal(new[k], old[k]) for k in old)
        assert all(new[k].dtype == np.float32 for k in new)
    assert models[1].dtype_policy.name == "float32"


def test_a_rung_that_cannot_be_walked_is_missing_not_passed(monkeypatch):
    from zoo import registry
    from zoo.errors import MissingBackendError

    real = registry.import_module

    def without_jax(name):
        if name == "zoo.jax":
            raise ModuleNotFoundError("No module named 'flax'", name="flax")
        return real(name)

    monkeypatch.setattr(registry, "import_module", without_jax)
    with pytest.raises(MissingBackendError, match=r"pip install '\.\[jax\]'"):
        zoo.build("tiny_mlp", "jax")
    report = zoo.check("tiny_mlp")
    assert not report.ok and "jax" in report.missing[0]
    assert all(r.ok for r in report.rungs)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: zoo.check("mlp_bn_gelu", batch=1), "at least 2"),
        (lambda: zoo.check("mlp", rungs=[]), "at least one rung"),
        (lambda: zoo.check("mlp", dtypes=[]), "at least one rung"),
        (lambda: zoo.example_inputs("mlp", batch=0), "at least 1"),
        (lambda: zoo.example_inputs("mlp", seed=-1), "seed must be"),
    ],
)
def test_what_cannot_be_walked_is_refused(call, words):
    with pytest.raises(ZooError, match=words):
        call()


def test_overflow_in_float32_is_no_pass():
    models = [zoo.build("tiny_mlp", b) for b in ("torch", "jax")]
    huge = {k: v * np.float32(1e25) for k, v in zoo.state(models[0]).items()}
    for model in models:
        zoo.load_state(model, huge)
    x = lambda seed: 1e20 * zoo.example_inputs("tiny_mlp", 2, seed)  # noqa: E731
    report = zoo.check(*models, rungs=["forward"], inputs=x)
    assert not report.ok
