"""`zoo explain`: pictures and figures of a run, of an image, of a preset."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import zoo
from zoo.cli import main


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
