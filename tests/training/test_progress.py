"""The state of a run beside its weights: the best so far, plateaus, the loss scale."""

import json
import math

import pytest

from zoo.errors import TrainingDiverged
from zoo.spec.recipe import Recipe
from zoo.training.progress import Best, LossScale, Progress


def test_the_best_of_a_loss_is_the_smallest():
    best = Best(-1)
    found = [best.improved(v) for v in (3.0, 2.0, 2.0, 4.0, 1.0)]
    assert found == [True, True, False, False, True]
    assert (best.value, best.bad) == (1.0, 0)


def test_an_improvement_is_larger_than_min_delta():
    best = Best(1, min_delta=0.25)
    found = [best.improved(v) for v in (0.25, 0.5, 0.75, 0.875)]
    assert found == [True, False, True, False]  # 0.25 more is not more than 0.25
    assert (best.value, best.bad) == (0.75, 1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_improvement(value):
    for sign in (1, -1):
        best = Best(sign)
        assert not best.improved(value)
        assert (best.value, best.bad) == (None, 1)


def test_the_loss_scale_is_halved_at_once_and_doubled_after_2000_steps():
    scale = LossScale("fp16")
    scale.update(False)
    assert scale.value == 32768
    for _ in range(1999):
        scale.update(True)
    assert scale.value == 32768
    scale.update(True)
    assert (scale.value, scale.good) == (65536, 0)
    scale.update(True)
    scale.update(False)
    assert (scale.value, scale.good) == (32768, 0)


def test_no_scale_is_small_enough():
    scale = LossScale("fp16")
    for _ in range(30):  # 2^16 to 2^-14
        scale.update(False)
    with pytest.raises(TrainingDiverged, match="loss scale of 3e-05: try bf16"):
        scale.update(False)


def test_other_precisions_have_no_scale():
    scale = LossScale("bf16")
    for _ in range(99):
        scale.update(False)
    assert scale.value == 1


def test_a_plateau_decays_after_its_patience_down_to_the_least():
    recipe = Recipe(
        schedule="plateau", plateau_patience=1, gamma=0.1, lr=1.0, min_lr=0.05
    )
    progress, factors = Progress(recipe), []
    for loss in (1.0, 1.0, 1.0, 1.0, 1.0, 0.5):
        progress.evaluated({"loss": loss})
        factors.append(progress.factor)
    assert factors == [1, 1, 0.1, 0.1, 0.05, 0.05]


def test_the_monitor_of_the_recipe_counts():
    progress = Progress(Recipe(monitor="accuracy"))
    assert progress.evaluated({"loss": 1.0, "accuracy": 0.5})
    assert not progress.evaluated({"loss": 0.5, "accuracy": 0.5})
    assert not progress.evaluated({"loss": 0.1})  # it was not measured


def test_a_checkpoint_keeps_it():
    recipe = Recipe(schedule="plateau", plateau_patience=1, precision="fp16")
    progress = Progress(recipe)
    for loss in (1.0, 2.0, 2.0, 2.0):
        progress.evaluated({"loss": loss})
    progress.scale.update(False)
    progress.scale.update(True)
    assert progress.to_json() == {
        "lr_factor": 0.1,
        "loss_scale": [32768.0, 1],
        "plateau": [1.0, 1],
    }
    kept = json.loads(json.dumps(progress.to_json() | {"best": {"value": 1.0}}))
    again = Progress(recipe)
    again.restore(kept)
    assert again.to_json() == progress.to_json()
    assert not again.evaluated({"loss": 1.5})
    assert again.evaluated({"loss": 0.5})
