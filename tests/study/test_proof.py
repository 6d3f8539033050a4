"""The proof of a group: which differences it accepts, and which it does not."""

import numpy as np

from tests.study.fakes import computed
from zoo.study import proof


def test_twins_are_proven_and_each_planted_difference_is_not():
    doubles = {"a": computed(), "b": computed(1e-15)}
    singles = {"a": computed(1e-7), "b": computed(2e-7)}
    rungs = proof.judge("a", doubles, singles)
    assert all(r["ok"] for rows in rungs.values() for r in rows)
    assert [r["name"] for r in rungs["b"][::2]] == list(proof.CELL_RUNGS)
    for name in doubles["b"]:
        spoilt = {
            "a": doubles["a"],
            "b": {**doubles["b"], name: doubles["b"][name] * (1 + 1e-8)},
        }
        failed = [r for r in proof.judge("a", spoilt, singles)["b"] if not r["ok"]]
        assert [r["name"] for r in failed] == [name.partition("/")[0]]
        assert not proof.flipped({"b": failed})


def test_float32_is_judged_by_the_best_column():
    doubles = {"a": computed(), "b": computed()}
    singles = {"a": computed(1e-7), "b": computed(1e-4)}
    failed = [r for r in proof.judge("a", doubles, singles)["b"] if not r["ok"]]
    assert {r["name"] for r in failed} >= {"forward", "update", "buffers"}
    assert all(r["dtype"] == "float32" for r in failed)


def test_inputs_are_drawn_anew_where_all_columns_flipped():
    """The best column is 5e-3 off itself: its bound would let anything pass."""
    doubles = {"a": computed(), "b": computed()}
    name = "update/a.weight"
    singles = {k: computed(1e-7) for k in doubles}
    assert not proof.flipped(proof.judge("a", doubles, singles))
    for arrays in singles.values():
        arrays[name] = arrays[name] * (1 + 5e-3)
    rungs = proof.judge("a", doubles, singles)
    assert all(r["ok"] for rows in rungs.values() for r in rows)
    assert proof.flipped(rungs)
    singles["b"]["forward"] = singles["b"]["forward"] * 1.01  # and this is no flip
    assert not proof.flipped(proof.judge("a", doubles, singles))


def test_a_bias_that_the_loss_does_not_see_may_round_as_it_likes():
    """A convolution's bias before batch norm has no gradient, and nothing to be off."""
    double = {**computed(), "update/a.bias": np.full(4, 1e-17)}
    noise = np.full(4, 3e-6)  # of a sum of terms as large as the other gradients
    singles = {
        "a": {**computed(1e-7), "update/a.bias": noise / 50},
        "b": {**computed(1e-7), "update/a.bias": noise},
    }
    rungs = proof.judge("a", {"a": double, "b": double}, singles)
    assert all(r["ok"] for r in rungs["b"])
    singles["b"]["update/a.bias"] = noise * 30  # this is no rounding
    failed = [
        r
        for r in proof.judge("a", {"a": double, "b": double}, singles)["b"]
        if not r["ok"]
    ]
    assert [(r["name"], r["where"]) for r in failed] == [("update", "a.bias")]


def test_a_column_without_float64_is_held_against_the_reference():
    rungs = proof.judge(
        "a", {"a": computed()}, {"a": computed(1e-7), "c": computed(1e-7)}
    )
    assert len(rungs["c"]) == len(proof.CELL_RUNGS)
    assert all(r["ok"] for r in rungs["c"])
    wrong = {"a": computed(1e-7), "c": computed(1e-7, seed=1)}
    assert not any(r["ok"] for r in proof.judge("a", {"a": computed()}, wrong)["c"][:1])
