"""What the zoo must learn on real data, in every backend, from the same seed."""

from typing import NamedTuple

import zoo
from zoo import data as datasets
from zoo.data import text
from zoo.spec.recipe import Recipe


def bigram_entropy():
    """Return what a bigram model pays for a character of the held-out text, in nats."""
    found = text.text()
    return text.bigram_entropy(found.train, found.test, len(found.alphabet.characters))


class Task(NamedTuple):
    """A model, its data, how it is trained, and what it must reach."""

    preset: str
    data: str
    measure: str
    goal: float | None  # None: the bigram entropy of the text
    recipe: Recipe
    changes: dict

    def config(self):
        """Return the config, fitted to the data."""
        config = zoo.config(self.preset, **self.changes)
        return config.override(**datasets.overrides(self.data, config))

    def reached(self, value):
        """Return whether a final measure is good enough."""
        if self.goal is None:
            return value < bigram_entropy()
        return value >= self.goal

    def run(self, backend, **options):
        """Train; return the History."""
        model = zoo.build(self.config(), backend, seed=self.recipe.seed)
        return zoo.fit(model, self.data, self.recipe, **options)


TASKS = {
    "cnn": Task(
        "cnn",
        "digits",
        "accuracy",
        0.98,
        Recipe(lr=3e-3, weight_decay=0.01, schedule="one_cycle", epochs=8),
        {},
    ),
    "row_lstm": Task(
        "row_lstm",
        "digits",
        "accuracy",
        0.95,
        Recipe(lr=5e-3, schedule="one_cycle", epochs=15),
        {},
    ),
    "unet_bn": Task(
        "unet_bn",
        "digit_scenes",
        "iou",
        0.85,
        Recipe(
            lr=2e-3,
            schedule="cosine",
            steps=300,
            batch_size=16,
            evaluate_every=100,
            monitor="iou",
        ),
        {"widths": (16, 32, 64)},
    ),
    "gpt": Task(
        "gpt",
        "text",
        "loss",
        None,
        Recipe(
            lr=3e-3, schedule="one_cycle", steps=200, batch_size=16, evaluate_every=100
        ),
        {"layers": 2, "dropout": 0.0},
    ),
}

# What the test suite trains: a quarter of the U-Net, for half the steps.
_unet = TASKS["unet_bn"]
QUICK = {
    **TASKS,
    "unet_bn": _unet._replace(
        goal=0.8,
        recipe=_unet.recipe.override(lr=5e-3, steps=150, evaluate_every=150),
        changes={"widths": (8, 16, 32)},
    ),
}
