"""`zoo info`: parameters by submodule, inputs, weights and files."""

import re
from pathlib import Path

from tests.cli.invoked import loads, run
from zoo.registry import BACKENDS


def test_info_counts_parameters():
    found = loads("info", "unet")
    assert found["parameters"] == sum(found["submodules"].values()) == 1_862_849
    assert found["buffers"] == 0
    assert found["weights"]["head.weight"] == [1, 64, 1, 1]
    assert all(Path(found["files"][backend]).is_file() for backend in BACKENDS)
    text = run("info", "unet", "--depth", 1).stdout
    assert "1,862,849 parameters" in text
    assert re.search(r"middle\s+885,248", text)
    assert re.search(r"image\s+\(N, 64, 64, 3\) float32", text)
    assert "torch/unet.py" in text


def test_info_depth_weights_and_changes():
    args = ["info", "unet_bn", "--small", "--set", "in_channels=2"]
    text = run(*args, "--depth", 3, "--weights").stdout
    assert re.search(r"down\.0\.conv1\s+152\b", text)
    assert re.search(r"down\.0\.conv1\.weight\s+\(8, 2, 3, 3\)", text)
    assert "in buffers" in text
    assert "down.0" not in run(*args, "--depth", 1).stdout
