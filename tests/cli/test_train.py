"""`zoo train`, `evaluate`, `predict` and `recipe`: runs made and used by hand."""

import json
import os
import re
import shutil
import signal
import sys
from dataclasses import asdict, fields

import numpy as np
import pytest
from click.testing import CliRunner

import zoo
from zoo import data as datasets
from zoo.cli import _model, _recipe, main
from zoo.spec.recipe import Recipe
from zoo.training.folder import RunFolder

STEPS = 12
TINY = ["mlp", "--set", "hidden=[16]", "--precision", "float64", "--seed", 3]
LENGTH = ["--steps", STEPS, "--evaluate-every", 6, "--checkpoint-every", 4]


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(a) for a in args], prog_name="zoo")
    assert result.exit_code == code, result.output
    return result


def loads(*args, code=0):
    return json.loads(run(*args, "--json", code=code).stdout)


def fails(*args):
    result = run(*args, code=2)
    assert result.stdout == ""
    assert re.fullmatch(r"zoo: [^\n]+\n", result.stderr), result.stderr
    return result.stderr


def losses(folder):
    rows = [row for row in RunFolder(folder).rows() if row["split"] == "train"]
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    return np.array([row["loss"] for row in rows])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run: its folder, and what `zoo train` printed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, run("train", *TINY, *LENGTH, "--out", folder)


@pytest.fixture
def cut_short(trained, tmp_path):
    """The same run as if it had been killed after the checkpoint of step 8."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    shutil.rmtree(folder / "checkpoints" / "step-00000012")
    return folder


# zoo train


def test_a_run_leaves_what_it_did(trained):
    folder, result = trained
    assert f"MLP on digits in PyTorch: step {STEPS} of {STEPS}" in result.stdout
    assert re.search(r"test +loss \d\S+  accuracy 0\.\d+\n", result.stdout)
    assert "\x1b" not in result.output
    assert len(re.findall(r"^step \d+/12, epoch 0: test ", result.stderr, re.M)) == 2
    about = RunFolder(folder).about()
    assert (about["data"], about["dtype"]) == ("digits", "float64")
    assert about["config"]["hidden"] == [16]
    recipe = RunFolder(folder).recipe()
    assert recipe == Recipe(precision="float64", seed=3, steps=STEPS, evaluate_every=6)
    assert len(losses(folder)) == STEPS
    assert RunFolder(folder).steps() == [4, 8, 12]


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_resume_in_any_backend_is_the_same_run(trained, cut_short, backend):
    found = loads("train", "--resume", cut_short, "--backend", backend)
    assert (found["backend"], found["steps"]) == (backend, STEPS)
    whole = RunFolder(trained[0])
    np.testing.assert_allclose(losses(cut_short), losses(trained[0]), rtol=1e-10)
    for name, array in RunFolder(cut_short).read().weights.items():
        np.testing.assert_allclose(array, whole.read().weights[name], atol=1e-10)


def test_nothing_is_left_to_resume(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    assert "nothing was left to train" in run("train", "--resume", folder).stdout
    assert (folder / "metrics.jsonl").read_text() == (
        trained[0] / "metrics.jsonl"
    ).read_text()


def test_a_folder_with_a_run_is_refused(trained, tmp_path):
    assert "add --overwrite" in fails("train", *TINY, "--out", trained[0])
    folder = tmp_path / "run"
    args = ["train", *TINY, "--out", folder, "--tensorboard", "--steps"]
    run(*args, 2)
    [old] = (folder / "tensorboard").iterdir()
    run(*args, 1, "--overwrite")
    assert not old.exists()
    assert len(losses(folder)) == 1
    strange = tmp_path / "thesis"
    strange.mkdir()
    (strange / "tensorboard").mkdir()
    (strange / "tensorboard" / "kept").touch()
    told = fails("train", *TINY, "--out", strange, "--overwrite")
    assert "something else" in told
    assert (strange / "tensorboard" / "kept").exists()


def test_ctrl_c_loses_no_step(trained, tmp_path, monkeypatch):
    from zoo.cli import train

    def trained_step(self, run, row):
        if row["step"] == 7:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(train._Lines, "trained", trained_step)
    folder = tmp_path / "run"
    result = run("train", *TINY, *LENGTH, "--out", folder, code=130)
    assert "step-00000007" in result.stdout
    assert f"zoo train --resume {folder}" in result.stderr
    monkeypatch.undo()
    assert loads("train", "--resume", folder)["stopped"] is None
    np.testing.assert_allclose(losses(folder), losses(trained[0]), rtol=1e-10)


def test_early_stopping_is_told(tmp_path):
    args = ["--steps", 20, "--evaluate-every", 1, "--patience", 2, "--min-delta", 9]
    found = loads("train", *TINY, *args, "--out", tmp_path / "run")
    assert found["steps"] < 20
    assert "did not improve" in found["stopped"]


@pytest.mark.parametrize(
    "args, words",
    [
        (["train"], "Give the preset"),
        (["train", "mlp"], "Give --out"),
        (["train", "mpl", "--out", "x"], "Did you mean 'mlp'?"),
        (["train", "mlp", "--out", "x", "--optimizer", "adan"], "mean 'adam'?"),
        (["train", "mlp", "--out", "x", "--lr", "fast"], "'--lr': 'fast'"),
        (["train", "mlp", "--out", "x", "--lr", "-1"], "lr must be positive"),
        (["train", "mlp", "--out", "x", "--lr-group", "fc"], "PATTERN=FACTOR"),
        (["train", "mlp", "--out", "x", "--momentum", ".9"], "adamw has no momentum"),
        (["train", "mlp", "--out", "x", "--epochs", "1", "--steps", "1"], "not both"),
        (["train", "mlp", "--out", "x", "--data", "digit"], "Did you mean 'digits'?"),
        (["train", "mlp", "--out", "x", "--data", "text"], "does not learn"),
        (["train", "mlp", "--out", "x", "--recipe", "no.json"], "cannot read"),
        (["train", "mlp", "--out", "x", "--init-from", "no"], "no such file: no"),
        (["train", "mlp", "--out", "x", "--backend", "trch"], "Did you mean 'torch'?"),
        (["train", "unet_time", "--out", "x"], "no embedded data set fits"),
        (["train", "--resume", "nowhere"], "is nowhere the folder of a run?"),
        (["train", "mlp", "--resume", "x", "--lr", "1"], "leave out NAME, --lr"),
        (["evaluate", "nowhere"], "is nowhere the folder of a run?"),
        (["predict", "nowhere"], "Give pictures, --values or --prompt."),
        (["recipe", "--plot", "x.png"], "--plot needs --steps"),
        (["recipe", "--plot", "x.gif", "--steps", "9"], "a figure ends in .png"),
        (["lr-find", "mlp", "--low", "2", "--high", "1"], "below high"),
    ],
)
def test_bad_flags(args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in fails(*args)
    assert not any(tmp_path.iterdir())


def test_init_from_keeps_all_but_the_head(trained, tmp_path):
    saved = RunFolder(trained[0]).read().path / "model.safetensors"
    still = ["--optimizer", "sgd", "--lr", 1e-30, "--steps", 1]
    for source, classes in ((saved, 10), (trained[0], 12)):
        folder = tmp_path / str(classes)
        args = ["--set", f"num_classes={classes}", "--set", "dropout=0.5", *still]
        result = run("train", *TINY, *args, "--init-from", source, "--out", folder)
        assert ("head.bias start anew" in result.stderr) == (classes == 12)
        assert RunFolder(folder).about()["config"]["dropout"] == 0.5
        old, new = (
            RunFolder(trained[0]).read().weights,
            RunFolder(folder).read().weights,
        )
        same = [name for name in new if np.array_equal(new[name], old[name])]
        assert same == [name for name in new if classes == 10 or "head" not in name]
    told = fails("train", "resnet20", "--init-from", saved, "--out", tmp_path / "x")
    assert "holds a MLP, and resnet20 is a ResNet" in told


@pytest.mark.parametrize(
    "name, data",
    [
        ("cnn", "digits"),
        ("row_lstm", "digits"),
        ("sentiment_lstm", "digits"),
        ("mlp", "digits"),
        ("vit", "digits"),
        ("unet_bn", "digit_scenes"),
        ("gpt", "text"),
        ("tabular_mlp", "breast_cancer"),
    ],
)
def test_data_that_fit_a_preset(name, data, capsys):
    start = _model.resolve(name, True, (), None)
    assert start.data == data
    assert datasets.overrides(data, start.config) == {}
    wanted = datasets.overrides(data, zoo.config(name).small())
    told = capsys.readouterr().err
    assert all(f"{field}={value}" in told for field, value in wanted.items())
    assert start.config == zoo.config(name).small().override(**wanted)


def test_what_is_set_by_hand_is_not_changed_by_data(capsys):
    start = _model.resolve("resnet20", False, ("in_channels=3", "num_classes=11"), None)
    assert (start.config.in_channels, start.config.num_classes) == (3, 11)
    changed = _model.resolve("resnet20", False, (), "digits").config
    assert changed.in_channels == 1
    assert "in_channels=1" in capsys.readouterr().err


# zoo evaluate


def test_evaluate_is_what_the_run_measured(trained):
    folder, _ = trained
    rows = [row for row in RunFolder(folder).rows() if row["split"] == "test"]
    for backend in ("torch", "jax"):
        found = loads("evaluate", folder, "--backend", backend)
        assert (found["backend"], found["step"]) == (backend, STEPS)
        assert found["examples"] == 359
        for name in ("loss", "accuracy"):
            assert found[name] == pytest.approx(rows[-1][name], rel=1e-10)
    best = loads("evaluate", folder, "--best")
    assert best["step"] == RunFolder(folder).best()["step"]
    early = loads("evaluate", folder, "--step", 4)
    assert early["loss"] > found["loss"]
    assert "it has: 4, 8, 12" in fails("evaluate", folder, "--step", 5)
    saved = RunFolder(folder).at(4) / "model.safetensors"
    assert "--data must say" in fails("evaluate", saved)
    # the split is the seed's: of a file nobody knows it
    again = loads("evaluate", saved, "--data", "digits")
    assert again["loss"] == pytest.approx(early["loss"], rel=0.1)


def test_evaluate_takes_the_moving_average(tmp_path):
    folder = tmp_path / "run"
    run("train", *TINY, "--steps", 9, "--ema", 0.9, "--out", folder)
    row = RunFolder(folder).rows()[-1]
    assert loads("evaluate", folder)["loss"] == pytest.approx(row["loss"], rel=1e-12)


# zoo predict


def test_predict_sees_a_picture_as_the_data_set_does(trained, tmp_path):
    from PIL import Image

    folder, _ = trained
    model = zoo.load(RunFolder(folder).read().path / "model.safetensors")
    test = datasets.load("digits", model.config, seed=3).test
    inputs, _ = test.take(np.arange(5))
    z = zoo.predict(model, inputs)
    shares = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    # 784 numbers are 28 x 28: the 8 x 8 enlarged 3 times, and a frame of 2
    ink = inputs[0].reshape(5, 28, 28)[:, 2:26:3, 2:26:3]
    for i in range(5):
        grey = np.rint(255 * ink[i]).astype(np.uint8)
        white, black = tmp_path / f"{i}.png", tmp_path / f"{i}_negative.png"
        Image.fromarray(grey).save(white)
        Image.fromarray(255 - grey).convert("RGB").save(black)
        found = run("predict", folder, white, black, "--top", 10, "--json")
        assert found.stderr.count("looks dark on light") == 1
        for entry in json.loads(found.stdout):
            got = {c["class"]: c["probability"] for c in entry["classes"]}
            for k in range(10):
                assert got[str(k)] == pytest.approx(shares[i, k], abs=0.01)
    other = loads("predict", folder, black, "--no-invert", "--top", 1)
    assert other[0]["classes"][0]["probability"] != pytest.approx(max(shares[4]), 0.01)
    line = run("predict", folder, white, "--top", 1).stdout
    assert re.fullmatch(rf"{white}: \d \d+\.\d%\n", line)


def test_predict_writes_a_mask_of_the_pictures_size(tmp_path):
    from PIL import Image

    folder, picture = tmp_path / "run", tmp_path / "wide.png"
    run("train", "unet_bn", "--small", "--steps", 2, "--batch-size", 4, "--out", folder)
    noise = np.random.default_rng(0).integers(0, 255, (50, 120, 3), np.uint8)
    Image.fromarray(noise).save(picture)
    [found] = loads("predict", folder, picture)
    mask = np.asarray(Image.open(tmp_path / "wide.mask.png"))
    assert mask.shape == (50, 120)
    assert not mask[:, :35].any()
    assert not mask[:, 85:].any()  # the model sees the middle 50 x 50
    shares = {c["class"]: c["share"] for c in found["classes"]}
    seen = mask[:, 35:85] == 255
    assert shares["digit"] == pytest.approx(seen.mean(), abs=0.05)
    run("predict", folder, picture, "--out", tmp_path / "m.png")
    assert (tmp_path / "m.png").exists()
    assert "no such file" in fails("predict", folder, tmp_path / "no.png")


def test_predict_goes_on_with_a_text(tmp_path):
    folder = tmp_path / "run"
    run("train", "gpt", "--small", "--steps", 2, "--batch-size", 4, "--out", folder)
    args = ["predict", folder, "--prompt", "The ", "--length", 9]
    text = run(*args).stdout
    assert text.startswith("The ")
    assert len(text) == 4 + 9 + 1
    drawn = [*args, "--temperature", 1, "--seed", 5]
    assert loads(*drawn)["text"] == loads(*drawn, "--backend", "jax")["text"]
    assert loads(*drawn)["text"] != loads(*drawn[:-1], 6)["text"]
    assert "'é' is not among" in fails("predict", folder, "--prompt", "é")
    assert "does not consist of pictures" in fails("predict", folder, "x.png")


def test_predict_takes_numbers_as_they_were_measured(tmp_path):
    from zoo.data.scikit import breast_cancer

    folder = tmp_path / "run"
    run("train", "tabular_mlp", "--small", "--steps", 9, "--out", folder)
    config = zoo.config("tabular_mlp").small().override(in_features=30)
    train = datasets.load("breast_cancer", config).train
    inputs, _ = train.take(np.arange(9))
    rows = breast_cancer()[0]
    csv = tmp_path / "rows.csv"
    np.savetxt(csv, rows[:40], delimiter=",")
    found = loads("predict", folder, csv)
    model = zoo.load(RunFolder(folder).read().path / "model.safetensors")
    z = zoo.predict(model, inputs)  # of nine of the first forty
    shares = np.exp(z[:, 0]) / np.exp(z).sum(-1)
    got = [
        next(c["probability"] for c in row["classes"] if c["class"] == "malignant")
        for row in found
    ]
    for share in shares:
        assert min(abs(share - g) for g in got) < 1e-4
    values = ",".join(map(str, rows[0]))
    [one] = loads("predict", folder, "--values", values)
    for a, b in zip(one["classes"], found[0]["classes"], strict=True):
        assert a == b | {"probability": pytest.approx(b["probability"], rel=1e-5)}
    assert "takes 30 numbers; got 2" in fails("predict", folder, "--values", "1,2")
    assert "takes numbers" in fails("predict", folder, "--values", "1,x")
    csv.write_text("radius\n1\n")
    assert "must hold rows of numbers" in fails("predict", folder, csv)


# zoo recipe


def test_every_field_has_a_flag_and_a_meaning():
    text = run("recipe", "--help").stdout
    meanings = _recipe.meanings()
    for field in fields(Recipe):
        name = "lr-group" if field.name == "lr_groups" else field.name.replace("_", "-")
        assert re.search(rf"^  --{name}\b", text, re.M), name
        assert meanings[field.name]
    explained = json.loads(run("recipe", "--explain", "--json").stdout)
    assert [entry["name"] for entry in explained] == [f.name for f in fields(Recipe)]


def test_flags_make_the_recipe(tmp_path):
    wanted = Recipe(
        optimizer="nadam", lr=0.5, beta1=0.8, decay_all=False, warmup=7, clip_norm=2.0,
        steps=40, freeze=("a*", "b"), augment=("flip", "crop"), seed=9,
        lr_groups=(("fc.*=x", 10.0), ("c", 0.1)), deterministic_dropout=True,
    )  # fmt: skip
    flags = """--optimizer nadam --lr .5 --beta1 .8 --no-decay-all --warmup 7
        --clip-norm 2 --steps 40 --freeze a* --freeze b --augment flip --augment crop
        --seed 9 --lr-group fc.*=x=10 --lr-group c=.1 --deterministic-dropout"""
    text = run("recipe", *flags.split()).stdout
    assert Recipe.from_json(text) == wanted
    file = tmp_path / "recipe.json"
    file.write_text(text)
    assert run("recipe", "--recipe", file).stdout == text
    args = ["recipe", "--recipe", file, "--epochs", 2, "--lr", 0.1, "--decay-all"]
    again = Recipe.from_json(run(*args).stdout)
    changed = {"epochs": 2, "steps": None, "lr": 0.1, "decay_all": True}
    assert again == wanted.override(**changed)
    assert asdict(again)["freeze"] == ("a*", "b")


def test_the_schedule_is_drawn(tmp_path, monkeypatch):
    figure = tmp_path / "curve.png"
    args = ["recipe", "--schedule", "one_cycle", "--steps", 30, "--plot", figure]
    run(*args)
    assert figure.read_bytes()[:4] == b"\x89PNG"
    monkeypatch.delitem(sys.modules, "matplotlib.figure")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install '.[plot]'" in fails(*args)
