"""`zoo predict`: pictures, masks, text and numbers."""

import json
import re

import numpy as np
import pytest

import zoo
from tests.cli.invoked import fails, loads, run
from zoo import data as datasets
from zoo.training.folder import RunFolder


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
