"""What a model looks at and why its loss stalls: the same in the three backends."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import zoo
from zoo import explain
from zoo.cli import main
from zoo.explain.gates import gates
from zoo.explain.maps import _enlarge
from zoo.files.weights import load_state, state
from zoo.models import as_inputs, example_targets
from zoo.registry import BACKENDS, get_backend

WIDE = dict(dtype="float64")


def case(model, count=8):
    inputs = zoo.example_inputs(model, count)
    shape = zoo.predict(model, inputs).shape
    return inputs, example_targets(shape)[model.config.loss]


def same(ours, reference):
    ours, reference = np.asarray(ours), np.asarray(reference)
    assert ours.shape == reference.shape
    return np.abs(ours - reference).max() <= 1e-10 * np.abs(reference).max()


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


@pytest.mark.parametrize(
    "preset", ["cnn", "simple_resnet", "sentiment_lstm", "gru", "gpt"]
)
def test_statistics_are_the_same_in_every_backend(preset):
    config = zoo.config(preset).small()
    found = []
    for backend in BACKENDS:
        model = zoo.build(config, backend, **WIDE)
        before = {k: v.copy() for k, v in state(model).items()}
        inputs, targets = case(model)
        outputs = zoo.predict(model, inputs)
        found.append(explain.statistics(model, inputs, targets))
        assert all((state(model)[k] == v).all() for k, v in before.items())
        again = zoo.predict(model, inputs)
        np.testing.assert_allclose(again, outputs, rtol=1e-9, atol=1e-12)
    assert found[0]
    for ours in found[1:]:
        for a, b in zip(ours, found[0], strict=True):
            assert (a.layer, a.units, a.dead) == (b.layer, b.units, b.dead)
            assert a.saturated == pytest.approx(b.saturated)
            wanted = pytest.approx(b[2:6], rel=1e-10, abs=1e-12, nan_ok=True)
            assert a[2:6] == wanted, a.layer
            assert a[8:] == pytest.approx(b[8:], rel=1e-10, abs=1e-12), a.layer


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


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("padded", [False, True])
def test_recomputed_gates_give_what_the_layer_gave(cell, padded):
    shape = dict(num_layers=2, bidirectional=True, output="sequence")
    config = zoo.config(cell, **shape).small()
    model = zoo.build(config, **WIDE)
    x, lengths = zoo.example_inputs(model, 4)
    inputs = (x, lengths) if padded else (x,)
    weights = {k.removeprefix("rnn."): v for k, v in state(model).items()}
    outputs, values = gates(weights, *inputs)
    assert same(outputs, zoo.trace(model, inputs)["rnn"][0])
    kinds = {"rnn": "h", "lstm": "ifgo", "gru": "rzn"}[cell]
    sides = ("l0", "l0_reverse", "l1", "l1_reverse")
    assert list(values) == [f"{side}.{gate}" for side in sides for gate in kinds]
    count = int(lengths.sum()) if padded else x.shape[0] * x.shape[1]
    assert {v.shape for v in values.values()} == {(count, config.hidden_size)}


# What is wrong is found


def plant(model, change):
    weights = {k: v.copy() for k, v in state(model).items()}
    change(weights)
    load_state(model, weights)


def findings(model, change=lambda weights: None, count=32):
    plant(model, change)
    return explain.diagnose(explain.statistics(model, *case(model, count)))


@pytest.mark.parametrize("preset", ["mlp", "cnn", "simple_resnet", "lstm", "gpt"])
def test_a_healthy_model_has_no_findings(preset):
    assert findings(zoo.build(zoo.config(preset).small())) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_dead_units_are_found(backend):
    def kill(weights):
        weights["linears.0.bias"][:3] = -100

    model = zoo.build("mlp", backend, hidden=(16, 16), in_features=9)
    [found] = findings(model, kill)
    assert (found.kind, found.layer) == ("dead", "linears.0")
    assert found.value == 3 / 16
    assert "3 of 16 units" in found.text


def test_a_dead_layer_cuts_off_what_is_before():
    def kill(weights):
        weights["linears.2.bias"][:] = -100

    model = zoo.build("mlp", hidden=(16, 16, 16), in_features=9)
    kinds = {(f.kind, f.layer): f for f in findings(model, kill)}
    assert kinds["dead", "linears.2"].value == 1
    assert "16 of 16 units" in kinds["dead", "linears.2"].text
    assert "1 other layer" in kinds["cut off", "linears.0"].text


def test_no_unit_is_dead_where_there_is_no_relu():
    def shift(weights):
        weights["linears.0.bias"][:] = -3

    model = zoo.build("mlp", hidden=(16,), in_features=9, activation="leaky_relu")
    plant(model, shift)
    assert [row.silent for row in explain.statistics(model, *case(model))] == [0, 0]


def test_the_share_of_silent_outputs_is_that_of_zeros_after_the_relu():
    model = zoo.build("mlp", hidden=(16, 16), in_features=9, **WIDE)
    inputs, targets = case(model, 32)
    rows = explain.statistics(model, inputs, targets)
    given = get_backend(model).trace(model, as_inputs(model.config, inputs))
    after = next(c for c in given if c.name == "linears.1").given[0]
    assert rows[0].silent == (after == 0).mean()
    assert rows[0].given == pytest.approx(np.std(inputs))


def test_vanishing_gradients_are_found():
    deep = dict(hidden=(16,) * 20, in_features=9, activation="sigmoid")
    [found] = findings(zoo.build("mlp", **deep))
    assert (found.kind, found.layer) == ("vanishing", "linears.0")
    assert found.value < 1e-6
    assert re.search(r"head, 20 layers on; it shrinks to 0\.\d+ at each", found.text)


def test_exploding_weights_are_found():
    def blow_up(weights):
        for name in weights:
            weights[name] *= 10

    deep = dict(hidden=(16,) * 6, in_features=9)
    found = findings(zoo.build("mlp", **deep), blow_up)
    found = [f for f in found if f.kind == "exploding"]
    assert "outputs deviate" in found[0].text
    assert found[1].layer == "linears.0" and "on its way back" in found[1].text
    assert all(f.value > 1e3 for f in found)


def test_what_is_not_finite_is_found_at_its_first_layer():
    def blow_up(weights):
        weights["linears.1.weight"][:] = 1e38

    found = findings(zoo.build("mlp", hidden=(16,) * 3, in_features=9), blow_up)
    assert [(f.kind, f.layer) for f in found] == [("not finite", "linears.1")]


def test_a_flat_loss_is_told():
    def settle(weights):
        weights["head.weight"][:] = 0
        weights["head.bias"][:] = [1e4, 0, 0]

    model = zoo.build("mlp", hidden=(4,), in_features=9, num_classes=3)
    plant(model, settle)
    rows = explain.statistics(model, zoo.example_inputs(model, 4), np.zeros(4, int))
    assert [f.kind for f in explain.diagnose(rows)] == ["flat"]
    assert [row.dead for row in rows] == [0, 0]


def test_states_that_the_loss_does_not_use_are_not_dead():
    model = zoo.build(zoo.config("lstm").small())  # its loss sees the last state only
    rows = explain.statistics(model, *case(model))
    assert [(row.silent, row.dead) for row in rows] == [(0, 0), (0, 0)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_saturated_gates_are_found(backend):
    def shut(weights):
        weights["rnn.bias_ih_l0"].reshape(4, -1)[0] = -20  # the input gate

    [found] = findings(zoo.build(zoo.config("lstm").small(), backend), shut)
    assert (found.kind, found.layer, found.value) == ("saturated", "rnn.l0.i", 1)


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


def test_the_front_door_leads_there_without_a_framework():
    code = (
        "import sys, zoo; assert 'numpy' not in sys.modules;"
        "assert zoo.explain.grad_cam and zoo.explain.diagnose;"
        "assert not {'torch', 'keras', 'jax', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# zoo explain


def run(*args, code=0):
    result = CliRunner().invoke(main, ["explain", *map(str, args)], prog_name="zoo")
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a small CNN's run."""
    out = tmp_path_factory.mktemp("explain") / "run"
    model = zoo.build("cnn", widths=(4, 6), image_size=16)
    zoo.fit(model, "digits", zoo.Recipe(steps=3, epochs=None), out=out)
    return out


def test_a_run_is_explained_in_any_backend(trained, tmp_path):
    from PIL import Image

    told = {}
    for backend in ("torch", "jax"):
        out = tmp_path / backend
        args = ("--out", out, "--pictures", 1, "--target", 3, "--layer", "convs.0")
        told[backend] = json.loads(
            run(trained, *args, "--backend", backend, "--json").stdout
        )
    ours = told["torch"]
    for a, b in zip(told["jax"]["layers"], ours["layers"], strict=True):
        assert a["gradient"] == pytest.approx(b["gradient"], rel=1e-3)
    [shown] = ours["pictures"]
    assert (shown["target"], shown["layer"]) == ("3", "convs.0")
    assert re.fullmatch(r"test example 0, a \d, taken for \d \(\d+%\)", shown["title"])
    with Image.open(shown["file"]) as picture:
        assert picture.size == (1350, 900)
        assert len(picture.convert("RGB").getcolors(2**24)) > 50
    assert [p.name for p in (tmp_path / "torch").iterdir()] == ["test-0.png"]


def test_an_image_of_ones_own_is_explained(trained, tmp_path):
    from PIL import Image

    image = tmp_path / "mine.png"
    ink = np.zeros((40, 40), np.uint8)
    ink[5:35, 18:23] = 255
    Image.fromarray(ink).save(image)
    out = tmp_path / "new" / "folder"
    told = run(trained, image, "--out", out).stdout
    assert "CNN on digits in PyTorch, step 3\n" in told
    assert re.search(r"drawn: \S+mine.png \(mine.png, taken for \d ", told)
    assert (out / "mine.png").exists()


def test_a_preset_without_images_has_figures_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = ("--set", "activation=sigmoid", "--set", f"hidden={[12] * 20}")
    told = run("mlp", *plan).stdout
    assert "MLP on digits in PyTorch, first weights" in told
    assert "vanishing: linears.0: " in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args, words",
    [
        (["resnet81"], "Did you mean 'resnet"),
        (["runs/none"], "holds no run"),
        (["mlp", "--layer", "head"], "takes no images"),
        (["mlp", "--best"], "choose from a run's folder"),
        (["cnn", "--small", "--target", "cat"], "must be a number or one of 0, 1, 2"),
        (["cnn", "--small", "--layer", "heads"], "Did you mean 'head'"),
        (["cnn", "--small", "missing.png"], "missing.png"),
        (["cnn", "--small", "--out", "/dev/null/here"], "cannot make the folder"),
    ],
)
def test_wrong_commands_get_one_line(args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*args, code=2)
    last = result.stderr.splitlines()[-1]
    assert last.startswith("zoo: ") and words in last, result.stderr
    assert result.stdout == "" and list(tmp_path.iterdir()) == []
