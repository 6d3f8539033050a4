"""What `zoo.fit` records of a run."""

from pathlib import Path

import zoo
from tests.training.runs import CONFIG, RECIPE
from zoo.training.folder import RunFolder


def test_run_json_records_the_same_facts_as_ever(tmp_path):
    zoo.fit(
        zoo.build("mlp", **CONFIG), "digits", RECIPE.override(steps=1), out=tmp_path
    )
    old = Path(__file__).parents[1] / "data" / "zoo-0.1.0" / "run"
    now, before = RunFolder(tmp_path).about(), RunFolder(old).about()
    assert list(now) == list(before)
    assert set(now["versions"]) >= set(before["versions"])
    now, before = (RunFolder(f).read().progress for f in (tmp_path, old))
    assert list(now) == list(before)
