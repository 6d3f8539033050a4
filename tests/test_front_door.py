"""The front door: what a person types wrong, and what importing it loads."""

import subprocess
import sys

import pytest
import torch

import zoo
from zoo import ZooError


def test_the_front_door_leads_there_without_a_framework():
    code = (
        "import sys, zoo; assert 'numpy' not in sys.modules;"
        "assert zoo.explain.grad_cam and zoo.explain.diagnose;"
        "assert not {'torch', 'keras', 'jax', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: zoo.build("resnet81"), "Did you mean 'resnet"),
        (lambda: zoo.build("mlp", "pytroch"), "Did you mean 'pytorch'"),
        (lambda: zoo.build("mlp", num_clases=3), "Did you mean 'num_classes'"),
        (lambda: zoo.build("mlp", hidden=(-4,)), "positive integers"),
        (lambda: zoo.build("mlp", activation="rleu"), "Did you mean 'relu'"),
        (lambda: zoo.build("mlp", dropout=1.5), "[0, 1)"),
        (lambda: zoo.build("mlp", num_classes=True), "positive integer"),
        (lambda: zoo.build("vit", heads=5), "divisible by heads=5"),
        (lambda: zoo.build("unet", image_size=66), "divisible by 4"),
        (lambda: zoo.build("mlp", dtype="flaot32"), "Did you mean 'float32'"),
        (lambda: zoo.build("mlp", init="nativ"), "Did you mean 'native'"),
        (lambda: zoo.build("mlp", seed=-1), "seed must be"),
        (lambda: zoo.build("mlp", device="gpu:7"), "not usable by PyTorch"),
        (lambda: zoo.build("mlp", "tf", device="gpu:7"), "not usable by TensorFlow"),
        (lambda: zoo.build("mlp", "jax", device="gpu:7"), "not usable by JAX"),
        (lambda: zoo.backend_of(torch.nn.Linear(2, 2)), "not a model of the zoo"),
        (lambda: zoo.check("mlp", rungs=["forwards"]), "Did you mean 'forward'"),
        (lambda: zoo.check(3), "takes one preset, or two or more models"),
    ],
)
def test_what_is_wrong_gets_one_line_with_the_way_out(call, words):
    with pytest.raises(ZooError) as error:
        call()
    assert words in str(error.value)
    assert "\n" not in str(error.value)
