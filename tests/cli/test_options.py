"""`--set`: values as JSON, as Python, or as words."""

from tests.cli.invoked import loads


def test_settings_are_json_python_or_words():
    changes = ["hidden=[3, 4]", "norm=batch", "dropout=.5", "num_classes=1_0"]
    args = [word for c in changes for word in ("--set", c)]
    config = loads("info", "mlp", *args)["config"]
    assert config["hidden"] == [3, 4]
    assert (config["norm"], config["dropout"], config["num_classes"]) == (
        "batch",
        0.5,
        10,
    )
    again = loads("info", "mlp", "--set", "hidden=(3, 4)")["config"]
    assert again["hidden"] == [3, 4]
    flag = loads("info", "lstm", "--small", "--set", "bidirectional=true")["config"]
    assert flag["bidirectional"] is True
