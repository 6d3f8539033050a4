"""The checks that configs and recipes share, on a dataclass of a few fields."""

from dataclasses import dataclass

import pytest

from zoo.configs._validation import Validated
from zoo.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Cake(Validated):
    kind: str = "plain"
    layers: int = 3
    candles: int | None = None
    sizes: tuple[int, ...] = (3, 2)
    sugar: float = 0.5
    iced: bool = False
    guests: int = 6
    slices: int = 12

    def __post_init__(self):
        self._choice("kind", ("plain", "marble"))
        self._positive("layers", "guests")
        self._integer("candles", least=0, optional=True)
        self._widths("sizes", least=2)
        self._fraction("sugar")
        self._flag("iced")
        self._divides("guests", "slices")


@pytest.mark.parametrize(
    "fields, told",
    [
        (
            {"kind": "marbel"},
            "kind must be one of plain, marble; got 'marbel'. Did you mean 'marble'?",
        ),
        ({"kind": "x"}, "kind must be one of plain, marble; got 'x'."),
        ({"layers": 0}, "layers must be a positive integer; got 0."),
        ({"layers": True}, "layers must be a positive integer; got True."),
        ({"layers": 2**63}, f"layers must be a positive integer; got {2**63}."),
        ({"candles": -1}, "candles must be 0 or a positive integer; got -1."),
        ({"sizes": (1,)}, "sizes must be at least 2 positive integers; got (1,)."),
        ({"sizes": [1, 2]}, "sizes must be at least 2 positive integers; got [1, 2]."),
        ({"sugar": 1}, "sugar must be a number in [0, 1); got 1."),
        ({"sugar": float("nan")}, "sugar must be a number in [0, 1); got nan."),
        ({"iced": 1}, "iced must be True or False; got 1."),
        ({"slices": 13}, "slices must be divisible by guests=6; got 13."),
    ],
)
def test_an_error_names_the_field_what_it_may_be_and_what_it_is(fields, told):
    with pytest.raises(ConfigError) as caught:
        Cake(**fields)
    assert str(caught.value) == told


def test_what_is_right_is_taken():
    cake = Cake(kind="marble", candles=0, sizes=(1, 1, 1), sugar=0, slices=18)
    assert cake.candles == 0
    assert Cake(candles=None).candles is None


def test_override_changes_a_copy_and_checks_it():
    cake = Cake()
    assert cake.override(layers=4) == Cake(layers=4)
    assert cake.layers == 3
    with pytest.raises(ConfigError, match="layers must be"):
        cake.override(layers=0)


def test_an_unknown_field_gets_a_hint_and_the_list():
    with pytest.raises(ConfigError) as caught:
        Cake().override(suger=0.1)
    told = str(caught.value)
    assert told.startswith("Cake has no field 'suger'. Did you mean 'sugar'?")
    assert told.endswith("guests, slices.")
