"""Recipes: what is refused, learning-rate curves by formula, and files."""

import math

import numpy as np
import pytest

from zoo.configs.mlp import MLPConfig
from zoo.errors import ConfigError, FileError
from zoo.spec.recipe import Recipe


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"optimizer": "adan"}, "Did you mean 'adam'"),
        ({"loss": "hinge"}, "loss must be one of auto, cross_entropy"),
        ({"augment": ("flp",)}, "Did you mean 'flip'"),
        ({"freeze": (3,)}, "freeze must be a list of strings"),
        ({"lr": 0}, "lr must be positive"),
        ({"lr": math.inf}, "lr must be positive"),
        ({"lr": "1"}, "lr must be positive"),
        ({"beta1": 1.0}, r"beta1 must be a number in \[0, 1\)"),
        ({"momentum": 0.9}, "adamw has no momentum"),
        ({"optimizer": "sgd", "beta1": 0.9}, "its constants: none"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"steps": 2.0}, "steps must be a positive integer"),
        ({"seed": True}, "seed must be 0 or a positive integer"),
        ({"steps": 1, "epochs": 1}, "not both; got 1 and 1"),
        ({"min_lr": 0.1, "lr": 0.01}, "min_lr must be at most lr=0.01"),
        ({"lr_groups": (("fc.*", -1),)}, "a factor, 0 or more"),
        ({"label_smoothing": 0.1, "loss": "mse"}, "needs the loss cross_entropy"),
        ({"decay_all": 1}, "decay_all must be True or False"),
    ],
)
def test_what_no_run_can_have_is_refused_in_one_line(fields, words):
    with pytest.raises(ConfigError, match=words) as caught:
        Recipe(**fields)
    assert "\n" not in str(caught.value)


def test_override_checks_names_and_values():
    assert Recipe().override(lr=0.5) == Recipe(lr=0.5)
    with pytest.raises(ConfigError, match="Did you mean 'batch_size'"):
        Recipe().override(batchsize=3)
    with pytest.raises(ConfigError, match="lr must be positive"):
        Recipe().override(lr=-1.0)


@pytest.mark.parametrize(
    "fields, wanted",
    [
        ({}, [1, 1, 1, 1, 1, 1]),
        ({"schedule": "plateau"}, [1, 1, 1, 1, 1, 1]),
        ({"schedule": "step"}, [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ({"schedule": "step", "decay_every": 5, "gamma": 0.5}, [1, 1, 1, 1, 1, 0.5]),
        (
            {"schedule": "exponential", "decay_every": 2, "gamma": 0.25},
            [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32],
        ),
        (
            {"schedule": "cosine", "min_lr": 0.2},
            [0.6 + 0.4 * math.cos(math.pi * t / 6) for t in range(6)],
        ),
        (
            {"schedule": "warmup_cosine", "warmup": 2},
            [0.5, 1, *(0.5 + 0.5 * math.cos(math.pi * t / 4) for t in range(4))],
        ),
    ],
)
def test_curves_by_formula(fields, wanted):
    curve = Recipe(lr=1.0, **fields).curve(6)
    assert curve.dtype == np.float64
    assert curve == pytest.approx(np.array(wanted), rel=1e-12)


def test_one_cycle_rises_to_its_peak_and_falls_far_below_its_start():
    curve = Recipe(lr=1.0, schedule="one_cycle").curve(100)
    assert curve.argmax() == 29  # three tenths of the run
    assert curve[0] == pytest.approx(1 / 25)
    assert curve[29] == pytest.approx(1)
    assert curve[-1] == pytest.approx(1 / 25 / 10_000)


def test_constants_and_slots_are_the_optimizers():
    adam = Recipe(optimizer="adam", beta2=0.99)
    assert adam.constants == {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
    assert adam.slots == ("exp_avg", "exp_avg_sq")
    assert Recipe(optimizer="rmsprop").slots == ("square_avg",)
    moving = Recipe(optimizer="rmsprop", momentum=0.5, ema=0.9)
    assert moving.slots == ("square_avg", "momentum_buffer", "ema")


def test_the_loss_is_the_models_own_unless_given():
    assert Recipe().loss_for(MLPConfig()) == "cross_entropy"
    assert Recipe().loss_for(MLPConfig(num_classes=1)) == "bce"
    assert Recipe(loss="mse").loss_for(MLPConfig()) == "mse"
    smooth = Recipe(label_smoothing=0.1)
    assert smooth.loss_for(MLPConfig()) == "cross_entropy"
    with pytest.raises(ConfigError, match="this one is 'bce'"):
        smooth.loss_for(MLPConfig(num_classes=1))


def test_patterns_freeze_and_group_weights():
    recipe = Recipe(
        freeze=("layer1.*",),
        lr_groups=(("fc.*", 10), ("*.bias", 0.5)),
        weight_decay=0.1,
    )
    assert recipe.frozen("layer1.0.conv1.weight")
    assert not recipe.frozen("layer10.weight")
    factors = [recipe.lr_factor(n) for n in ("fc.bias", "conv.bias", "conv.weight")]
    assert factors == [10, 0.5, 1]  # the first match counts
    assert recipe.decays((3,)) and recipe.decays((3, 3))
    matrices = recipe.override(decay_all=False)
    assert (matrices.decays((3,)), matrices.decays((3, 3))) == (False, True)
    assert not Recipe().decays((3, 3))


def test_the_length_is_in_epochs_or_in_steps():
    assert Recipe().length(23) == 230
    assert Recipe(epochs=2).length(23) == 46
    assert Recipe(steps=7).length(23) == 7


def test_a_recipe_goes_through_json(tmp_path):
    recipe = Recipe(lr=0.1 + 0.2, freeze="a.*", lr_groups={"b": 2}, steps=9)
    assert recipe.freeze == ("a.*",)
    assert recipe.lr_groups == (("b", 2.0),)
    path = tmp_path / "recipe.json"
    path.write_text(recipe.to_json())
    assert Recipe.read(path) == recipe
    assert Recipe.from_json("{}") == Recipe()


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "must be JSON"),
        ("[1]", "must be a JSON object; got list"),
        ('{"optimiser": "sgd"}', "Did you mean 'optimizer'"),
        ('{"lr": -1}', "lr must be positive"),
    ],
)
def test_what_is_no_recipe_is_told_with_its_file(text, words, tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        Recipe.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(FileError, match="cannot read the recipe"):
        Recipe.read(tmp_path / "none.json")
