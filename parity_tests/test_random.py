"""Random configs of every family climb the ladder in float64 (`make fuzz`: more).

Which values are drawn is each config's own `variants`, around its small form. CI's
draws are always the same; `ZOO_FUZZ=500` draws that many per class, ever new ones.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import zoo
from zoo.configs._base import ACTIVATIONS, IMAGE_NORMS, SCHEMES, VECTOR_NORMS
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
        assume(False)  # no such architecture: draw another, so that all are walked
    report = zoo.check(config, batch=batch, dtypes=["float64"])
    assert report.ok, f"{config}\n{report}"


def test_every_activation_norm_and_scheme():
    """What the draws may leave out: each choice once, in float64."""
    mlp = zoo.config("tiny_mlp", hidden=(6, 4), groups=2, norm="batch")
    configs = [mlp.override(activation=a) for a in ACTIVATIONS]
    configs += [mlp.override(norm=n, activation="tanh") for n in VECTOR_NORMS]
    configs += [mlp.override(initializer=s, norm="none") for s in SCHEMES]
    unet = zoo.config("unet", widths=(4, 8), groups=2, image_size=8)
    configs += [unet.override(norm=n) for n in IMAGE_NORMS]
    for config in configs:
        report = zoo.check(config, batch=3, dtypes=["float64"])
        assert report.ok, f"{config}\n{report}"
