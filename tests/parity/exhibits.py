"""Two exhibits for a short demo, and a report made by hand."""

from zoo.parity import demo
from zoo.parity.demo import Exhibit
from zoo.parity.report import Divergence, Report, Rung

TWO = (Exhibit("mnist_mlp", 3), Exhibit("row_lstm", 3))


def a_report(error):
    """Return a report of all backends, in which Keras is off by this error."""
    backends = ["torch", "tf", "jax"]
    rungs = [
        Rung(name, dtype, b, error < 1e-10 or b != "tf", error, 1e-10)
        for name, dtype in demo.SHOWN
        for b in backends
    ]
    found = Divergence("forward", "float64", "tf", "bn1", "BatchNorm eps", error)
    return Report("x", backends, 7, rungs, [], found if error > 1e-10 else None, 1.5)
