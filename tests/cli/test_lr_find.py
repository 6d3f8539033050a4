"""`zoo lr-find`: the curve as JSON and as a figure."""

import json

from click.testing import CliRunner

from zoo.cli import main


def test_zoo_lr_find(tmp_path):
    figure = tmp_path / "curve.svg"
    args = ["lr-find", "mlp", "--set", "hidden=[16]", "--steps", "30"]
    done = CliRunner().invoke(main, [*args, "--json", "--plot", str(figure)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["backend"], found["data"]) == ("torch", "digits")
    assert found["suggestion"] in found["rates"]
    assert len(found["losses"]) == len(found["smoothed"]) == len(found["rates"])
    text = figure.read_text()
    assert "<svg" in text
    assert "#d55e00" in text.lower()
    plain = CliRunner().invoke(main, args).stdout
    assert f"--lr {found['suggestion']:.2g}" in plain
