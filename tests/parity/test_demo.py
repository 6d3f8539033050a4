"""The demo: every family in every framework on real data, in one table."""

from tests.parity.exhibits import TWO, a_report
from zoo.data import samples
from zoo.parity import demo
from zoo.parity.demo import EXHIBITS
from zoo.registry import families, family_of


def test_every_family_is_on_show():
    shown = [family_of(exhibit.config()) for exhibit in EXHIBITS]
    own = [m.__name__.rpartition(".")[2] for m in families() if "zoo." in m.__name__]
    assert sorted(shown) == sorted(own)
    fed = " ".join(samples.describe(exhibit.config()) for exhibit in EXHIBITS)
    for words in ("numbers", "images", "rows", "tokens", "photographs"):
        assert words in fed


def test_run_feeds_real_data(monkeypatch):
    seen = []

    def spy(config, batch, seed):
        seen.append((type(config).__name__, batch, seed))
        return original(config, batch, seed)

    original = samples.sample_inputs
    monkeypatch.setattr(samples, "sample_inputs", spy)
    steps = []
    found = demo.run(
        ("torch", "jax"),
        seed=4,
        small=True,
        exhibits=TWO,
        progress=lambda done, text: steps.append((done, text)),
    )
    assert found.ok
    assert {("MLPConfig", 3, 4), ("RecurrentNetConfig", 3, 4)} <= set(seen)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[0] == (0, "mnist_mlp: building torch")
    assert steps[-1][0] == 1


def test_the_table_fits_80_columns(monkeypatch):
    from rich.console import Console

    monkeypatch.setattr(demo, "check", lambda *a, **k: a_report(1.2e-15))
    console = Console(width=80, file=None, record=True, quiet=False)
    with console.capture() as shown:
        console.print(demo.run().table())
    assert "…" not in shown.get()
    assert shown.get().count("float32 gradient") == len(EXHIBITS)
