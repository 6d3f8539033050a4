"""The result of a run, and a run as callbacks see it."""

from types import SimpleNamespace

import numpy as np

from zoo.training.history import History, Run

ROWS = [
    {"split": "train", "step": 1, "loss": 2.0},
    {"split": "train", "step": 2, "loss": 1.5},
    {"split": "test", "step": 2, "loss": 1.75, "accuracy": 0.5},
    {"split": "train", "step": 3, "loss": 1.0},
]


def test_losses_are_those_of_the_training_steps():
    found = History(rows=ROWS).losses
    assert found.dtype == np.float64
    assert found.tolist() == [2.0, 1.5, 1.0]
    assert History().losses.shape == (0,)


def test_evaluations_are_all_other_rows():
    assert History(rows=ROWS).evaluations == [ROWS[2]]


def test_histories_do_not_share_their_rows():
    History().rows.append(ROWS[0])
    assert History().rows == []


def test_a_run_brings_its_model_up_to_date_and_can_be_stopped():
    synced = []
    trainer = SimpleNamespace(sync=lambda: synced.append(True))
    run = Run(trainer, "the model", None, None, 9)
    assert (run.step, run.steps, run.history.stopped) == (0, 9, None)
    assert run.model == "the model"
    assert synced == [True]
    run.stop("enough")
    assert run.history.stopped == "enough"
