"""`zoo recipe`, and the flags that make a recipe."""

import json
import re
import sys
from dataclasses import asdict, fields

from tests.cli.invoked import fails, run
from zoo.cli import _recipe
from zoo.spec.recipe import Recipe


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
