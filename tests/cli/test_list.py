"""`zoo list`: patterns, families, and a hint where nothing matches."""

import pytest

import zoo
from tests.cli.invoked import loads, run


def test_list_names_every_preset():
    lines = run("list").stdout.splitlines()
    assert sorted(line.split()[0] for line in lines) == zoo.list_models()
    assert "\x1b" not in "".join(lines)


def test_list_json_is_an_array_of_objects():
    found = loads("list")
    assert sorted(entry["name"] for entry in found) == zoo.list_models()
    unet = next(entry for entry in found if entry["name"] == "unet")
    assert unet["family"] == "unet"
    assert unet["inputs"][0]["shape"] == [64, 64, 3]
    assert zoo.config("unet").from_dict(unet["config"]) == zoo.config("unet")


@pytest.mark.parametrize(
    "pattern, present, absent",
    [
        ("resnet*", "resnet18", "plain20"),
        ("resnet", "plain20", "vgg16"),  # a family
        ("vgg", "vgg16", "cnn"),  # a part of names
        ("vgg1?_bn", "vgg11_bn", "vgg11"),
    ],
)
def test_list_takes_a_pattern_a_family_or_a_part(pattern, present, absent):
    names = [entry["name"] for entry in loads("list", pattern)]
    assert present in names
    assert absent not in names


def test_list_without_a_match():
    result = run("list", "unett")
    assert result.stdout == ""
    assert "Did you mean 'unet'?" in result.stderr
    assert loads("list", "unett") == []
