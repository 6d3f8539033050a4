"""Random configs of every family climb the ladder in float64 (`make fuzz`: more).

Which values are drawn is each config's own `variants`, around its small form. CI's
draws are always the same; `ZOO_FUZZ=500` draws that many per class, ever new ones.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import zoo
from zoo.configs._base import SCHEMES
from zoo.errors import ConfigError

FUZZ = int(os.environ.get("ZOO_FUZZ", "0"))
CLASSES = {type(c): c for c in map(zoo.config, reversed(zoo.list_models()))}


def test_every_config_class_says_what_to_draw():
    for cls in CLASSES:
        names = set(cls.__dataclass_fields__)
        assert cls.variants and set(cls.variants) <= names, cls


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
@settings(
    max_examples=FUZZ or 5,
    derandomize=not FUZZ,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink] if FUZZ else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_random_config(cls, data):
    choices = {"initializer": SCHEMES, **cls.variants}
    fields = {k: data.draw(st.sampled_from(v), k) for k, v in choices.items()}
    batch = data.draw(st.sampled_from((2, 3)), "batch")
    try:
        config = CLASSES[cls].small().override(**fields)
    except ConfigError:
        return  # no such architecture, and it says so
    report = zoo.check(config, batch=batch, dtypes=["float64"])
    assert report.ok, f"{config}\n{report}"
