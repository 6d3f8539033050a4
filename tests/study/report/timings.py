"""Rows of timings, made by hand."""


def timing(verdict, ratio, **more):
    """Return a timing row; `ratio` is value, low and high."""
    names = ("ratio", "ratio_low", "ratio_high")
    return {
        "row": "timing",
        "preset": "cnn",
        "backend": "jax",
        "mode": "jit",
        "seed": 0,
        "batch_size": 32,
        "machine": "m",
        "what": "training",
        "status": "ok",
        "seconds": [0.01, 0.011],
        "median_s": 0.0105,
        "low_s": 0.01,
        "high_s": 0.011,
        "baseline": {"backend": "torch", "mode": "eager"},
        "verdict": verdict,
        **dict(zip(names, ratio)),
        **more,
    }


def base(**more):
    """Return a timing row of the baseline."""
    more = {"backend": "torch", "mode": "eager", **more}
    return timing("baseline", (1.0, 1.0, 1.0), **more)
