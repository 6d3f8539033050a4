"""Cells of the training proof: optimizer x schedule x clipping x model.

CI proves a subset in which every pair of values occurs; `make proof` proves all.
"""

from itertools import combinations, product
from typing import NamedTuple

import zoo
from zoo.parity.report import Report
from zoo.spec.recipe import OPTIMIZERS, Recipe

STEPS = 200
MODELS = {
    "mlp": zoo.config("mlp", in_features=64, hidden=(32,)),
    "cnn": zoo.config("cnn", widths=(6, 8), groups=2, image_size=9, num_classes=4),
}
SCHEDULES = {"constant": {}, "warm-up + cosine": {"schedule": "warmup_cosine"}}
CLIPPING = {
    "none": {},
    "norm": {"clip_norm": 0.5},
    "value": {"clip_value": 0.02},
}
RATES = {"lion": 1e-3, "adagrad": 1e-2, "sgd": 5e-2, "momentum": 1e-2, "nesterov": 1e-2}
# Whatever else a recipe has, spread over the cells so that all of it is proven.
EXTRAS = (
    {},
    {"weight_decay": 0.01},
    {"weight_decay": 0.05, "decay_all": False},
    {"ema": 0.9},
    {"label_smoothing": 0.1},
    {"accumulate": 2},
    {"lr_groups": (("head.*", 3.0),)},
)


class Cell(NamedTuple):
    """One run to be proven."""

    optimizer: str
    schedule: str
    clipping: str
    model: str

    def __str__(self) -> str:
        return "-".join(self).replace(" ", "")

    def recipe(self) -> Recipe:
        """Return the cell's recipe."""
        number = CELLS.index(self)
        heavy = {"momentum": 0.5} if self.optimizer == "rmsprop" and number % 2 else {}
        return Recipe(
            optimizer=self.optimizer,
            lr=RATES.get(self.optimizer, 2e-3),
            **SCHEDULES[self.schedule],
            **CLIPPING[self.clipping],
            **EXTRAS[number % len(EXTRAS)],
            **heavy,
        )

    def prove(self, steps: int = STEPS, dtypes=("float64",)) -> Report:
        """Walk the training rungs of this cell."""
        return zoo.check(
            MODELS[self.model],
            rungs=("names",),
            dtypes=dtypes,
            batch=8,
            train=self.recipe(),
            steps=steps,
        )


CELLS = [Cell(*c) for c in product(OPTIMIZERS, SCHEDULES, CLIPPING, MODELS)]


def pairwise() -> list[Cell]:
    """Return few cells in which every pair of values occurs: greedily."""

    def pairs(cell: Cell) -> set:
        return set(combinations(enumerate(cell), 2))

    wanted = set().union(*map(pairs, CELLS))
    chosen: list[Cell] = []
    while wanted:
        best = max(CELLS, key=lambda c: len(pairs(c) & wanted))
        chosen.append(best)
        wanted -= pairs(best)
    return chosen
