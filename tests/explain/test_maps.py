"""What a model looks at: the same in the three backends."""

import numpy as np
import pytest
import torch

import zoo
from tests.explain.cases import WIDE, same
from zoo import explain
from zoo.explain.maps import _enlarge
from zoo.registry import BACKENDS


@pytest.mark.parametrize("preset", ["cnn", "simple_resnet", "mnist_cnn"])
def test_pictures_are_the_same_in_every_backend(preset):
    config = zoo.config(preset).small()
    found = []
    for backend in BACKENDS:
        model = zoo.build(config, backend, **WIDE)
        inputs = zoo.example_inputs(model, 3)
        found.append(
            [
                explain.feature_maps(model, inputs),
                explain.grad_cam(model, inputs),
                explain.saliency(model, inputs, target=np.array([0, 1, 2])),
            ]
        )
    for ours in found[1:]:
        for a, b in zip(ours, found[0]):
            assert a.layer == b.layer
            assert same(a.maps, b.maps)
            assert b.targets is None or (a.targets == b.targets).all()
    maps, cam, slopes = found[0]
    assert cam.layer == maps.layer and max(maps.maps.shape[1:3]) > 1
    assert cam.maps.shape == slopes.maps.shape == inputs.shape[:3]
    assert cam.maps.min() >= 0 and cam.maps.max() == 1
    assert slopes.maps.min() >= 0 and slopes.maps.max() > 0


@pytest.mark.parametrize("preset", ["vgg11", "resnet18_v2"])
def test_the_layer_with_maps_has_the_same_name_in_every_backend(preset):
    config = zoo.config(preset).small()
    models = [zoo.build(config, backend) for backend in BACKENDS]
    maps = [explain.feature_maps(m, zoo.example_inputs(m, 1)) for m in models]
    assert len({m.layer for m in maps}) == 1
    assert all(m.maps.shape == maps[0].maps.shape for m in maps)
    assert max(maps[0].maps.shape[1:3]) > 1


def test_grad_cam_is_the_formula_of_its_paper():
    model = zoo.build(zoo.config("cnn").small(), **WIDE)
    inputs = zoo.example_inputs(model, 2)
    kept = []
    hook = model.convs[0].register_forward_hook(lambda m, x, y: kept.append(y))
    model.eval()
    x = torch.from_numpy(inputs).double().permute(0, 3, 1, 2)
    score = model(x)[:, 1].sum()
    hook.remove()
    [maps] = kept
    [slopes] = torch.autograd.grad(score, kept)
    heat = torch.relu((slopes.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True))
    heat = torch.nn.functional.interpolate(heat, x.shape[2:], mode="bilinear")[:, 0]
    heat = heat / heat.amax((1, 2), keepdim=True)
    ours = explain.grad_cam(model, inputs, target=1, layer="convs.0")
    assert same(ours.maps, heat.detach().numpy())


def test_maps_are_enlarged_as_bilinear_interpolation_does():
    small = np.random.default_rng(0).normal(size=(1, 1, 3, 5))
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(small), (8, 7), mode="bilinear", align_corners=False
    )
    rows, columns = _enlarge(3, 8), _enlarge(5, 7)
    assert same(rows @ small[0, 0] @ columns.T, wanted[0, 0].numpy())


def test_saliency_is_the_slope_of_the_score():
    model = zoo.build(zoo.config("mnist_cnn").small(), "jax", activation="tanh", **WIDE)
    x = zoo.example_inputs(model, 1).astype(np.float64)
    slope = explain.saliency(model, x, target=1).maps
    place = (0, 12, 11)
    up, down = x.copy(), x.copy()
    up[place] += 1e-6
    down[place] -= 1e-6
    rise = (zoo.predict(model, up) - zoo.predict(model, down))[0, 1] / 2e-6
    assert slope[place] == pytest.approx(abs(rise), rel=1e-6)


def test_a_frozen_model_is_explained_and_kept():
    model = zoo.build(zoo.config("cnn").small(), **WIDE)
    inputs = zoo.example_inputs(model, 2)
    wanted = explain.grad_cam(model, inputs)
    model.requires_grad_(False)
    model.train()
    with torch.no_grad():
        found = explain.grad_cam(model, inputs)
    np.testing.assert_allclose(found.maps, wanted.maps, rtol=1e-4, atol=1e-5)
    assert all(m.training for m in model.modules())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda m, x: explain.grad_cam(m, x, layer="conv.0"), "Did you mean 'convs.0'"),
        (lambda m, x: explain.grad_cam(m, x, layer="head"), "these do: convs.0"),
        (lambda m, x: explain.grad_cam(m, x, target=99), "target must be in [0, "),
        (lambda m, x: explain.saliency(m, x, target=1.5), "target must be a class"),
        (lambda m, x: explain.statistics(m, x[:1], [0]), "at least 2 examples"),
        (lambda m, x: explain.statistics(m, x, [0, 99]), "targets must be in"),
        (lambda m, x: explain.statistics(m, x, [0]), "needs ids of shape (2,)"),
        (lambda m, x: explain.statistics(m, x, [0, 1], "hinge"), "unknown loss"),
    ],
)
def test_what_is_wrong_gets_one_line(call, words):
    model = zoo.build(zoo.config("cnn").small())
    with pytest.raises(zoo.ZooError) as error:
        call(model, zoo.example_inputs(model, 2))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_models_without_maps_say_so():
    model = zoo.build(zoo.config("gpt").small())
    with pytest.raises(zoo.ZooError, match="no layer whose outputs are maps"):
        explain.grad_cam(model, zoo.example_inputs(model, 2))
    with pytest.raises(zoo.ZooError, match="token ids have none"):
        explain.saliency(model, zoo.example_inputs(model, 2))
