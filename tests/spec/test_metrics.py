"""Losses and measures, against their definitions."""

import numpy as np
import pytest

from zoo.errors import InputError, UnknownNameError
from zoo.spec import metrics


def logits(*shape, seed=0):
    return 3 * np.random.default_rng(seed).standard_normal(shape)


def loss(z, targets, kind, smoothing=0.0):
    return float(metrics.losses(z, targets, kind, smoothing).mean())


def measure(name, z, targets, kind):
    tally = metrics.Tally({"accuracy": "classify", "iou": "segment"}[name], kind)
    tally.add(z, targets)
    return tally.result()[name]


def test_losses_agree_with_their_definitions():
    z, ids = logits(5, 4), np.array([0, 3, 1, 1, 2])
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    one_hot = np.eye(4)[ids]
    for smoothing in (0, 0.1):
        target = one_hot * (1 - smoothing) + smoothing / 4
        wanted = -(target * np.log(p)).sum(-1).mean()
        assert loss(z, ids, "cross_entropy", smoothing) == pytest.approx(wanted)
    sigmoid = 1 / (1 + np.exp(-z))
    wanted = -np.where(one_hot, np.log(sigmoid), np.log(1 - sigmoid)).mean()
    assert loss(z, one_hot, "bce") == pytest.approx(wanted)
    assert loss(z, one_hot, "mse") == pytest.approx(((z - one_hot) ** 2).mean())


def test_losses_bear_large_logits():
    z = np.array([[1e4, -1e4]])
    assert loss(z, np.array([1]), "cross_entropy") == 2e4
    assert loss(z, np.array([[0.0, 0.0]]), "bce") == 5e3
    assert np.isnan(loss(z * np.inf, np.array([1]), "cross_entropy"))


@pytest.mark.parametrize(
    "kind, targets",
    [
        ("cross_entropy", np.array([0, 1, 2])),
        ("cross_entropy", np.array([0, 4])),
        ("cross_entropy", np.array([0, -1])),
        ("cross_entropy", np.array([0.0, 1.0])),
        ("bce", np.zeros(2)),
    ],
)
def test_targets_that_do_not_fit_are_refused(kind, targets):
    with pytest.raises(InputError):
        loss(logits(2, 4), targets, kind)


def test_accuracy_of_every_form():
    z = np.array([[1.0, 2], [3, 0], [0, 1]])
    ids, one_hot = np.array([1, 0, 0]), np.eye(2)[[1, 0, 0]]
    assert measure("accuracy", z, ids, "cross_entropy") == 2 / 3
    assert measure("accuracy", z, one_hot, "bce") == 2 / 3
    one = np.array([[1.0], [-1], [0]])
    assert measure("accuracy", one, np.array([[1.0], [1], [0]]), "bce") == 2 / 3
    ids = np.array([[0, 1, 1]])
    assert measure("accuracy", z[None], ids, "cross_entropy") == 1 / 3


def test_iou_counts_pixels_of_all_images():
    z = np.array([[1.0, -1], [1, 1]]).reshape(1, 2, 2, 1)
    t = np.array([[1.0, 1], [0, 1]]).reshape(1, 2, 2, 1)
    assert measure("iou", z, t, "bce") == 2 / 4
    two, ids = np.concatenate([-z, z], -1), t[..., 0].astype(int)
    assert measure("iou", two, ids, "cross_entropy") == (2 / 4 + 0 / 2) / 2
    three = np.concatenate([two, z * 0 - 9], -1)  # a class that never occurs
    assert measure("iou", three, ids, "cross_entropy") == (2 / 4 + 0 / 2) / 2
    assert measure("iou", z * 0, t * 0, "bce") == 1


@pytest.mark.parametrize(
    "task, kind, z, t",
    [
        ("classify", "cross_entropy", logits(11, 3), np.arange(11) % 3),
        ("classify", "bce", logits(11, 1), (logits(11, 1, seed=2) > 0) * 1.0),
        (
            "segment",
            "bce",
            logits(11, 4, 4, 1),
            (logits(11, 4, 4, 1, seed=2) > 0) * 1.0,
        ),
        ("segment", "cross_entropy", logits(11, 4, 4, 3), logits(11, 4, 4) > 0),
        ("language", "cross_entropy", logits(11, 5, 7), logits(11, 5, seed=3) > 0),
        ("regress", "mse", logits(11, 2), logits(11, 2, seed=2)),
    ],
)
def test_a_tally_of_parts_is_the_measure_of_the_whole(task, kind, z, t):
    t = t.astype(int) if t.dtype == bool else t
    tally = metrics.Tally(task, kind, 0.1 if kind == "cross_entropy" else 0.0)
    for part in (slice(0, 4), slice(4, 5), slice(5, 11)):
        tally.add(z[part], t[part])
    result = tally.result()
    assert tuple(result) == ("loss", *metrics.MEASURES[task])
    smoothing = tally.label_smoothing
    assert result["loss"] == pytest.approx(loss(z, t, kind, smoothing), rel=1e-14)
    for name in ("accuracy", "iou"):
        assert name not in result or result[name] == measure(name, z, t, kind)
    if task == "language":
        wanted = np.exp(loss(z, t, kind))
        assert result["perplexity"] == pytest.approx(wanted, rel=1e-13)


def test_an_empty_tally_says_so():
    with pytest.raises(InputError, match="no batch"):
        metrics.Tally("classify", "bce").result()
    with pytest.raises(UnknownNameError, match="classify"):
        metrics.Tally("clasify", "bce")
