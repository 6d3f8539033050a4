"""Batches in parts, and targets that fit their logits."""

import numpy as np
import pytest

from zoo.errors import InputError
from zoo.spec.batch import Batch, check_shares, check_targets, share, split


def test_shares_are_the_batch_in_order():
    x = np.arange(7)
    batch = Batch((x, x[:, None] * 2), x * 3)
    parts, rows = zip(*(share(batch, rank, 3) for rank in range(3)))
    assert rows == (0, 3, 5)
    assert [p.size for p in parts] == [3, 2, 2]
    for i, whole in enumerate(batch.inputs):
        assert (np.concatenate([p.inputs[i] for p in parts]) == whole).all()
    assert (np.concatenate([p.targets for p in parts]) == batch.targets).all()
    check_shares(7, 7)
    with pytest.raises(InputError, match="each of 8 workers"):
        share(batch, 0, 8)


def test_a_batch_in_more_parts_than_examples_has_no_empty_part():
    batch = Batch((np.arange(3),), np.arange(3))
    assert [p.targets.tolist() for p in split(batch, 5)] == [[0], [1], [2]]
    [whole] = split(batch, 1)
    assert whole is batch


@pytest.mark.parametrize(
    "kind, logits, targets",
    [
        ("cross_entropy", (4, 10), (4,)),
        ("cross_entropy", (4, 7, 10), (4, 7)),
        ("bce", (4, 1), (4, 1)),
        ("mse", (4, 8, 8, 1), (4, 8, 8, 1)),
    ],
)
def test_targets_fit_their_logits(kind, logits, targets):
    check_targets(kind, logits, targets)
    for wrong in ((5, *targets[1:]), (*targets, 1), targets[:-1]):
        with pytest.raises(InputError, match=rf"{kind} of logits .* needs targets"):
            check_targets(kind, logits, wrong)
