"""What a study checks before anything begins."""

import pytest

from tests.study.fakes import Cells, compare
from zoo.errors import MissingBackendError
from zoo.study import driver, plan


def test_a_missing_framework_is_an_error_before_anything_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "installed", lambda backend: backend != "jax")
    for columns in (["torch", "jax"], ["torch", "tf:on_jax"]):
        with pytest.raises(MissingBackendError, match="needs backend 'jax'"):
            compare(tmp_path, Cells(), columns=plan.columns(columns))
    assert not (tmp_path / "study").exists()
