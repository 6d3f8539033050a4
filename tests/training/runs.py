"""The recipe and the network of the runs that are resumed."""

from zoo.spec.recipe import Recipe

RECIPE = Recipe(
    optimizer="adamw", lr=3e-3, schedule="cosine", steps=24, batch_size=100, ema=0.9
)
# in float64, as no processor promises the same rounding to two runs
CONFIG = {"in_features": 64, "hidden": (16,), "dropout": 0.2, "dtype": "float64"}
