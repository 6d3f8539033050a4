"""Studies without a framework: plans, statistics, folders, groups of fake cells."""

import contextlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import ConfigError, FileError, MissingBackendError, UnknownNameError
from zoo.spec.recipe import Recipe
from zoo.study import driver, plan, proof, results
from zoo.study import intervals as statistics
from zoo.study import terminal as table
from zoo.study.engine import Failed, Lost, Moved
from zoo.study.plan import Column, Entry, Plan

TINY = Entry("tiny_mlp")
TORCH, KERAS, FLAX = plan.columns(["torch", "tf", "jax"])


# ------------------------------------------------------------------------ statistics


def test_the_interval_of_a_median_covers_it_as_often_as_it_says():
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        found = statistics.median(random.lognormal(size=15))
        hits += found.low <= 1.0 <= found.high  # the true median
    assert 0.9 < hits / 200 < 0.99


def test_pairs_see_what_drift_hides():
    """The machine slows down fivefold; ours takes 0.97 of the other's time."""
    drift = np.linspace(1, 5, 20)
    noise = np.random.default_rng(0).normal(1, 0.01, (2, 20))
    ours, other = 0.97 * drift * noise[0], drift * noise[1]
    ratio = statistics.paired_ratio(ours, other)
    assert ratio.high < 1
    assert statistics.verdict(ratio) == "faster"
    apart = [statistics.median(ours), statistics.median(other)]
    assert apart[0].high > apart[1].low  # which medians alone do not show
    assert statistics.verdict(statistics.paired_ratio(other, ours)) == "slower"
    same = statistics.paired_ratio(drift * noise[0], drift * noise[1])
    assert statistics.verdict(same) == "within noise"


def test_the_mean_over_seeds_has_students_interval():
    found = statistics.mean([0.97, 0.98, 0.99])
    half = 4.302653 * 0.01 / np.sqrt(3)  # t(0.975) of two degrees of freedom
    assert found == pytest.approx((0.98, 0.98 - half, 0.98 + half), rel=1e-6)
    assert statistics.mean([0.5]).high == np.inf


# ----------------------------------------------------------------------------- plans


def test_columns_know_modes():
    assert plan.columns(["keras", "torch:compile"]) == (
        Column("tf", "function"),
        Column("torch", "compile"),
    )
    assert len(plan.columns(["tf:all", "tf"])) == 4
    with pytest.raises(UnknownNameError, match="Did you mean 'compile'"):
        plan.columns(["torch:compiled"])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch_sizes": (0,)}, "batch_sizes must be integers from 1"),
        ({"batch_sizes": ()}, "nothing to do"),
        ({"rounds": 2}, "rounds must be at least 5"),
        ({"proof": ("float32",)}, "proof must be float64"),
        (
            {"proof": ("float64",), "columns": plan.columns(["torch", "tf:on_jax"])},
            "tf:on_jax computes in float32 alone",
        ),
        ({"rounds": 6.5}, "rounds must be int"),
        ({"seconds": "3"}, "seconds must be int or float"),
        ({"seconds": -1}, "seconds must be positive"),
        ({"target": "high"}, "target must be"),
        ({"threads": 9999}, "threads must be 0 to"),
        ({"train": True}, "tiny_mlp has no data"),
        (
            {"baseline": Column("jax", "jit"), "columns": (TORCH,)},
            "none of the columns",
        ),
        ({"entries": (TINY, TINY)}, "two entries are called 'tiny_mlp'"),
        ({"entries": (Entry("tiny_mpl"),)}, "Did you mean 'tiny_mlp'"),
    ],
)
def test_what_cannot_be_compared_is_told(changes, message):
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        Plan(**{"entries": (TINY,), **changes})


def test_a_cell_has_another_address_with_anything_that_it_depends_on():
    def key(machine="a", column=TORCH, seed=0, entry=TINY, **changes):
        found = Plan(entries=(entry,), **changes)
        return found.key(plan.Cell(entry, column, seed), machine)

    others = [
        key(machine="b"),
        key(column=FLAX),
        key(seed=1),
        key(entry=Entry("tiny_mlp", changes={"hidden": (5,)})),
        key(entry=Entry("tiny_mlp", recipe=Recipe(lr=0.5))),
        key(batch_sizes=(1,)),
        key(threads=1) if Plan(entries=(TINY,)).threads > 1 else "one core",
    ]
    assert key() == key()
    assert len({key(), *others}) == 8


def test_the_studies_of_the_house_can_be_read():
    names = ["quick", "classics", "degradation", "activations-and-init", "optimizers"]
    for name in names:
        found = plan.read(f"studies/{name}.toml")
        assert found.name == name
        assert found.description
        text = Path(f"studies/{name}.toml").read_text()
        assert f"zoo compare studies/{name}.toml" in text
    families = {
        type(e.config).__module__ for e in plan.read("studies/classics.toml").entries
    }
    assert len(families) == 6


@pytest.mark.parametrize(
    "text, message",
    [
        ("entry = 3", "at least one"),
        ("[[entry]]", "needs a preset"),
        ("[[entry]]\npreset = 'unett'", "Did you mean 'unet'"),
        ("bacth_sizes = [1]\n[[entry]]\npreset = 'unet'", "Did you mean 'batch_sizes'"),
        ("[[entry]]\npreset = 'unet'\nset = {widhts = [1]}", "Did you mean 'widths'"),
        ("[[entry]\n", "is no TOML"),
        ("backends = ['theano']\n[[entry]]\npreset='unet'", "unknown backend"),
        ("[[entry]]\npreset = 'unet'\nrecipe = {lr = 'a'}", "lr"),
        ("baseline = 'tf:all'\n[[entry]]\npreset='unet'", "one column is wanted"),
        ("recipe = {seed = 1}\n[[entry]]\npreset='unet'", "seeds are the study's"),
        ("[[entry]]\npreset='unet'\nrecipe = {seed = 1}", "seeds are the study's"),
        ("[[entry]]\npreset = 'unet'\nlabel = 20", "label must be text"),
        ("batch_sizes = 3\n[[entry]]\npreset='unet'", "wrong.toml: "),
    ],
)
def test_a_study_file_with_a_mistake_is_told_in_one_line(text, message, tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(FileError, match=message) as caught:
        plan.read(path)
    assert "\n" not in str(caught.value).strip()


# ----------------------------------------------------------------------------- proof


def _computed(noise=0.0, seed=0):
    random = np.random.default_rng(seed)
    found = {
        "forward": random.normal(size=(8, 3)),
        "loss": np.float64(1.5),
        "update/a.weight": random.normal(size=(4, 4)),
        "buffers/n.running_mean": random.normal(size=4),
    }
    hiss = np.random.default_rng(9)
    return {k: v + noise * hiss.normal(size=np.shape(v)) for k, v in found.items()}


def test_twins_are_proven_and_each_planted_difference_is_not():
    doubles = {"a": _computed(), "b": _computed(1e-15)}
    singles = {"a": _computed(1e-7), "b": _computed(2e-7)}
    rungs = proof.judge("a", doubles, singles)
    assert all(r["ok"] for rows in rungs.values() for r in rows)
    assert [r["name"] for r in rungs["b"][::2]] == list(proof.CELL_RUNGS)
    for name in doubles["b"]:
        spoilt = {
            "a": doubles["a"],
            "b": {**doubles["b"], name: doubles["b"][name] * (1 + 1e-8)},
        }
        odd = [r for r in proof.judge("a", spoilt, singles)["b"] if not r["ok"]]
        assert [r["name"] for r in odd] == [name.partition("/")[0]]
        assert not proof.flipped({"b": odd})


def test_float32_is_judged_by_the_best_column():
    doubles = {"a": _computed(), "b": _computed()}
    singles = {"a": _computed(1e-7), "b": _computed(1e-4)}
    odd = [r for r in proof.judge("a", doubles, singles)["b"] if not r["ok"]]
    assert {r["name"] for r in odd} >= {"forward", "update", "buffers"}
    assert all(r["dtype"] == "float32" for r in odd)


def test_inputs_are_drawn_anew_where_all_columns_flipped():
    """The best column is 5e-3 off itself: its bound would let anything pass."""
    doubles = {"a": _computed(), "b": _computed()}
    name = "update/a.weight"
    singles = {k: _computed(1e-7) for k in doubles}
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
    double = {**_computed(), "update/a.bias": np.full(4, 1e-17)}
    noise = np.full(4, 3e-6)  # of a sum of terms as large as the other gradients
    singles = {
        "a": {**_computed(1e-7), "update/a.bias": noise / 50},
        "b": {**_computed(1e-7), "update/a.bias": noise},
    }
    rungs = proof.judge("a", {"a": double, "b": double}, singles)
    assert all(r["ok"] for r in rungs["b"])
    singles["b"]["update/a.bias"] = noise * 30  # this is no rounding
    odd = [
        r
        for r in proof.judge("a", {"a": double, "b": double}, singles)["b"]
        if not r["ok"]
    ]
    assert [(r["name"], r["where"]) for r in odd] == [("update", "a.bias")]


def test_a_column_without_float64_is_held_against_the_reference():
    rungs = proof.judge(
        "a", {"a": _computed()}, {"a": _computed(1e-7), "c": _computed(1e-7)}
    )
    assert len(rungs["c"]) == len(proof.CELL_RUNGS)
    assert all(r["ok"] for r in rungs["c"])
    wrong = {"a": _computed(1e-7), "c": _computed(1e-7, seed=1)}
    assert not any(
        r["ok"] for r in proof.judge("a", {"a": _computed()}, wrong)["c"][:1]
    )


# ------------------------------------------------------------------- fake processes


class Cells:
    """An engine of cells that answer from a script, in no process."""

    lanes, machine = 1, "here"

    def __init__(self, faults=()):
        self.faults = list(faults)  # (backend, do, batch or None, error), each once
        self.asked, self.alive = [], 0
        self.spoilt = None
        self.lock = threading.Lock()

    def held(self, lane):
        return contextlib.nullcontext()

    def start(self, job, environment, lane=0):
        self.alive += 1
        return Fake(self, job)

    def close(self):
        pass


class Fake:
    alive = True

    def __init__(self, engine, job):
        self.engine, self.backend = engine, job["backend"]

    def ask(self, do, timeout=None, **arguments):
        engine = self.engine
        with engine.lock:
            engine.asked.append((self.backend, do, arguments))
            for fault in engine.faults:
                backend, what, batch, error = fault
                if (backend, what) == (self.backend, do) and batch in (
                    None,
                    arguments.get("batch"),
                ):
                    engine.faults.remove(fault)
                    self.alive = not isinstance(error, Lost)
                    raise error
        pace = {"torch": 1.0, "tf": 2.0, "jax": 0.5}[self.backend]
        if do == "prove":
            spoilt = engine.spoilt == self.backend
            return _computed(1e-7 * (arguments["dtype"] == "float32"), spoilt)
        return {
            "begin": {
                "import_s": 1.0,
                "settings": {},
                "host": {"id": "abc", "cores": 2},
            },
            "build": {"build_s": 0.1, "parameters": 22},
            "file": {"file_bytes": 300},
            "matmul": {"gflops": 100.0},
            "first": {"first_s": 1.0, "call_s": 0.01 * pace, "peak_bytes": 2**28},
            "burst": {"seconds": 0.01 * pace * (1 + 0.01 * len(engine.asked) % 0.02)},
        }[do]

    def close(self):
        self.engine.alive -= 1


def _compare(tmp_path, engine, **changes):
    what = Plan(entries=(TINY,), **{"batch_sizes": (1, 8), "rounds": 6, **changes})
    return driver.compare(what, tmp_path / "study", engine=engine)


def _times(study, backend):
    rows = [r for r in study.rows if r["row"] == "timing"]
    return [r for r in rows if r["backend"] == backend]


def test_rows_say_who_is_faster_by_how_much(tmp_path):
    engine = Cells()
    study = _compare(tmp_path, engine)
    assert engine.alive == 0
    heads = [r for r in study.rows if r["row"] == "cell"]
    assert [h["status"] for h in heads] == ["ok"] * 3
    assert all(h["parity"]["ok"] and h["machine"] == "abc" for h in heads)
    verdicts = {
        b: {r["verdict"] for r in _times(study, b)} for b in ("torch", "tf", "jax")
    }
    assert verdicts == {"torch": {"baseline"}, "tf": {"slower"}, "jax": {"faster"}}
    row = _times(study, "jax")[0]
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"] < 0.55
    assert row["share"] == pytest.approx(row["gflops"] / 100)
    on_disk = (tmp_path / "study" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in on_disk] == study.rows
    common = {
        "row",
        "study",
        "preset",
        "backend",
        "mode",
        "seed",
        "batch_size",
        "machine",
    }
    assert all(common <= row.keys() for row in study.rows)
    # rounds: each column in turn, another one first each time
    turns = [b for b, do, _ in engine.asked if do == "burst"][:9]
    assert turns == ["torch", "tf", "jax", "tf", "jax", "torch", "jax", "torch", "tf"]


def test_a_cell_that_is_another_network_is_not_timed(tmp_path):
    engine = Cells()
    engine.spoilt = "tf"
    study = _compare(tmp_path, engine)
    head = next(r for r in study.rows if r["row"] == "cell" and r["backend"] == "tf")
    assert head["status"] == "differs"
    assert "not the same network: forward in float64" in head["error"]
    assert not _times(study, "tf")
    assert not [do for b, do, _ in engine.asked if b == "tf" and do == "first"]
    assert _times(study, "jax")[0]["verdict"] == "faster"


def test_float64_alone_proves_too(tmp_path):
    engine = Cells()
    engine.spoilt = "tf"
    study = _compare(tmp_path, engine, proof=("float64",))
    heads = [r for r in study.rows if r["row"] == "cell"]
    assert [h["status"] for h in heads] == ["ok", "differs", "ok"]
    assert {r["dtype"] for h in heads for r in h["parity"]["rungs"]} == {"float64"}
    assert {a["dtype"] for _, do, a in engine.asked if do == "prove"} == {"float64"}


def test_a_lost_worker_is_started_anew_and_nothing_else_is_lost(tmp_path):
    faults = [
        ("jax", "prove", None, Lost("killed")),
        ("jax", "build", None, Lost("killed")),
        ("jax", "first", 8, Lost("killed")),
        ("jax", "matmul", None, Lost("killed")),
        ("tf", "burst", 1, Lost("killed")),
        ("tf", "burst", 8, Lost("killed")),
        ("tf", "build", None, Lost("killed")),
    ]
    study = _compare(tmp_path, Cells(faults))
    assert all(r["status"] == "ok" for r in study.rows)
    assert len(study.rows) == 3 + 3 * 4


def test_what_does_not_fit_into_memory_is_told_and_smaller_batches_stay(tmp_path):
    lost = Lost("killed (SIGKILL), as the system does where memory runs out")
    faults = [("tf", "first", 8, lost), ("tf", "first", 8, lost)]
    engine = Cells(faults)
    study = _compare(tmp_path, engine, batch_sizes=(1, 8, 64))
    rows = {r["batch_size"]: r for r in _times(study, "tf") if r["what"] == "inference"}
    assert rows[1]["verdict"] == "slower"
    assert "memory" in rows[8]["error"]
    assert rows[64]["error"] == "not tried: batch 8 failed"
    assert [r["status"] for r in _times(study, "jax")] == ["ok"] * 6


def test_what_one_batch_size_cannot_do_another_may(tmp_path):
    """Batch norm has no variance of one example; 8 are fine, and so is the rest."""
    faults = [("torch", "first", 1, Failed("Expected more than 1 value per channel"))]
    study = _compare(tmp_path, Cells(faults))
    rows = _times(study, "torch")
    assert [r["status"] for r in rows] == ["failed", "ok", "ok", "ok"]
    assert "ratio" not in _times(study, "tf")[0]  # with nothing to be held against
    shown = [table._time(r) for r in _times(study, "tf")[:2]]
    assert "~" not in shown[0]
    assert "x)" in shown[1]


def test_an_accident_is_tried_again_and_a_baseline_takes_all_with_it(tmp_path):
    lost = [("jax", "burst", 8, Lost("died of SIGSEGV"))] * 2
    first = _compare(tmp_path, Cells(lost))
    assert [r["status"] for r in _times(first, "jax")].count("failed") == 1
    again = Cells()
    second = _compare(tmp_path, again)
    assert {b for b, _, _ in again.asked} == {"torch", "jax"}
    assert all(r["status"] == "ok" for r in second.rows)
    folder = results.StudyFolder(tmp_path / "study")
    base = next(
        r for r in second.rows if r["row"] == "cell" and r["backend"] == "torch"
    )
    (folder.cells / f"{base['key']}.json").unlink()
    whole = Cells()
    third = _compare(tmp_path, whole)
    assert {b for b, _, _ in whole.asked} == {"torch", "tf", "jax"}
    assert all(r["parity"]["ok"] for r in third.rows if r["row"] == "cell")
    assert (
        _times(third, "tf")[0]["baseline_seconds"]
        == _times(third, "torch")[0]["seconds"]
    )


def test_a_column_that_was_alone_is_proven_when_others_come(tmp_path):
    broken = [(b, "prove", None, Failed("no")) for b in ("tf", "jax")]
    first = _compare(tmp_path, Cells(broken))
    assert first.rows[0]["parity"]["ok"] is None
    second = _compare(tmp_path, Cells())
    assert all(r["parity"]["ok"] for r in second.rows if r["row"] == "cell")


def test_a_failed_cell_leaves_the_others_and_is_tried_again_with_its_baseline(tmp_path):
    broken = Failed("RuntimeError: no")
    first = _compare(tmp_path, Cells([("jax", "build", None, broken)]))
    assert [r["status"] for r in first.rows if r["row"] == "cell"] == [
        "ok",
        "ok",
        "failed",
    ]
    kept = {p.name: p.read_text() for p in (tmp_path / "study" / "cells").iterdir()}
    again = Cells()
    second = _compare(tmp_path, again)
    assert {b for b, _, _ in again.asked} == {"torch", "jax"}  # not Keras again
    now = {p.name: p.read_text() for p in (tmp_path / "study" / "cells").iterdir()}
    assert sum(kept[name] == now[name] for name in kept) == 2
    rows = _times(second, "jax")
    assert rows[0]["verdict"] == "faster"
    assert rows[0]["baseline_seconds"] != _times(second, "torch")[0]["seconds"]
    nothing = Cells()
    assert _compare(tmp_path, nothing).rows == second.rows
    assert not nothing.asked


def test_a_group_whose_machine_is_gone_begins_anew_elsewhere(tmp_path):
    engine = Cells([("tf", "burst", None, Moved("machine 1 has left"))])
    study = _compare(tmp_path, engine)
    assert all(r["status"] == "ok" for r in study.rows)
    assert [b for b, do, _ in engine.asked if do == "prove"].count("torch") == 4


# --------------------------------------------------------------------------- folders


def test_two_studies_do_not_share_a_folder(tmp_path):
    _compare(tmp_path, Cells())
    with pytest.raises(FileError, match="its batch_sizes differ"):
        _compare(tmp_path, Cells(), batch_sizes=(2,))
    asked = Cells()
    _compare(tmp_path, asked, description="other words")
    assert not asked.asked
    with (
        results.StudyFolder(tmp_path / "study").claimed(),
        pytest.raises(FileError, match="another zoo compare is writing"),
    ):
        _compare(tmp_path, Cells())


def test_a_framework_that_is_missing_is_told_before_anything_begins(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(driver, "installed", lambda backend: backend != "jax")
    for columns in (["torch", "jax"], ["torch", "tf:on_jax"]):
        with pytest.raises(MissingBackendError, match="needs backend 'jax'"):
            _compare(tmp_path, Cells(), columns=plan.columns(columns))
    assert not (tmp_path / "study").exists()


def test_a_full_disk_keeps_what_is_finished(tmp_path, monkeypatch):
    _compare(tmp_path, Cells([("jax", "build", None, Failed("no"))]))
    before = (tmp_path / "study" / "results.jsonl").read_text()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zoo.files.atomic.os.fsync", full)
    with pytest.raises(FileError, match="No space left on device"):
        _compare(tmp_path, Cells())
    assert (tmp_path / "study" / "results.jsonl").read_text() == before


def test_a_file_that_was_cut_off_gives_the_rows_that_are_whole(tmp_path):
    study = _compare(tmp_path, Cells())
    path = tmp_path / "study" / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    found, notes = results.read(path)
    assert found.rows == study.rows[:-1]
    assert notes == [f"{path}, line {len(study.rows)} is no row of a study; left out."]
    path.write_text("")
    with pytest.raises(FileError, match="holds no results"):
        results.read(tmp_path / "study")
    assert _compare(tmp_path, Cells()).rows == study.rows  # from the cells


def test_a_damaged_cell_is_measured_again(tmp_path):
    _compare(tmp_path, Cells())
    victim = sorted((tmp_path / "study" / "cells").iterdir())[0]
    victim.write_text("[{")
    study = _compare(tmp_path, Cells())
    heads = [r for r in study.rows if r["row"] == "cell"]
    assert [h["parity"]["ok"] for h in heads] == [True] * 3
    assert [r["verdict"] for r in _times(study, "jax")] == ["faster"] * 4
