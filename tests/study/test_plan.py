"""Plans, study files, and the addresses of cells."""

from pathlib import Path

import pytest

from zoo.errors import ConfigError, FileError, UnknownNameError
from zoo.spec.recipe import Recipe
from zoo.study import plan
from zoo.study.plan import Column, Entry, Plan

TINY = Entry("tiny_mlp")
TORCH, _, FLAX = plan.columns(["torch", "tf", "jax"])


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
def test_a_plan_that_is_impossible_is_an_error(changes, message):
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        Plan(**{"entries": (TINY,), **changes})


def test_a_cell_has_another_address_with_anything_that_it_depends_on():
    def key(machine="a", column=TORCH, seed=0, entry=TINY, **changes):
        study = Plan(entries=(entry,), **changes)
        return study.key(plan.Cell(entry, column, seed), machine)

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


def test_the_studies_of_this_repository_can_be_read():
    names = ["quick", "classics", "degradation", "activations-and-init", "optimizers"]
    for name in names:
        study = plan.read(f"studies/{name}.toml")
        assert study.name == name
        assert study.description
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
def test_a_mistake_in_a_study_file_is_one_line(text, message, tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(FileError, match=message) as caught:
        plan.read(path)
    assert "\n" not in str(caught.value).strip()
