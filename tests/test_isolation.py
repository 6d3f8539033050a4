"""Each backend works alone; `import zoo` loads nothing; backends mirror each other."""

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import zoo
from zoo.registry import BACKENDS, families

ROOT = Path(zoo.__file__).parent
OTHERS = {
    "torch": ["tensorflow", "keras", "jax", "flax", "optax"],
    "tf": ["torch", "flax", "optax", "jax"],
    "jax": ["torch", "tensorflow", "keras"],
}
BLOCK = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Wall())
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_works_where_the_others_cannot_be_imported(backend, tmp_path):
    code = BLOCK.format(blocked=OTHERS[backend]) + textwrap.dedent(f"""
        import zoo
        from zoo.errors import MissingBackendError
        for name in ("unet", "sentiment_lstm", "mlp", "cnn", "resnet18", "gpt"):
            model = zoo.build(zoo.config(name).small(), backend={backend!r})
            x = zoo.example_inputs(model)
            zoo.predict(model, x), zoo.trace(model, x)
            zoo.save(model, {str(tmp_path)!r} + "/model.safetensors")
            again = zoo.load({str(tmp_path)!r} + "/model.safetensors", {backend!r})
            assert abs(zoo.predict(again, x) - zoo.predict(model, x)).max() < 1e-5
        for other in {{"torch", "tf", "jax"}} - {{{backend!r}}}:
            try:
                zoo.build("mlp", backend=other)
            except MissingBackendError as error:
                assert f"'.[{{other}}]'" in str(error) and "\\n" not in str(error)
            else:
                raise AssertionError(other)
    """)
    run(code)


def test_import_zoo_loads_nothing():
    loaded = run("import zoo, sys; print(*sys.modules)").split()
    heavy = {
        "numpy",
        "torch",
        "tensorflow",
        "keras",
        "jax",
        "flax",
        "rich",
        "click",
        "jinja2",
    }
    assert not heavy & set(loaded)


def test_listing_and_configs_load_no_framework_and_no_numpy():
    code = "import zoo, sys; zoo.list_models(); zoo.config('mlp'); print(*sys.modules)"
    heavy = {"numpy", "torch", "tensorflow", "keras", "jax", "flax"}
    assert not heavy & set(run(code).split())


def classes(path):
    """Return [(class name, constructor arguments)] of a file, in order."""
    found = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            args = [
                [a.arg for a in f.args.args]
                for f in node.body
                if isinstance(f, ast.FunctionDef) and f.name == "__init__"
            ]
            found.append((node.name, args))
    return found


def steps(path):
    """Return the `# § step` markers of a file, in order."""
    lines = path.read_text().splitlines()
    return [line.strip() for line in lines if line.strip().startswith("# §")]


@pytest.mark.parametrize("family", [m.__name__.rpartition(".")[2] for m in families()])
def test_the_backends_mirror_each_other(family):
    paths = [ROOT / backend / f"{family}.py" for backend in BACKENDS]
    if not paths[0].exists():
        pytest.fail(f"{family} is no family of the zoo's own")
    first = classes(paths[0])
    for path in paths[1:]:
        assert classes(path) == first, path
        assert steps(path) == steps(paths[0]), path


def test_the_backends_have_the_same_files():
    names = {
        backend: {p.name for p in (ROOT / backend).glob("*.py")} for backend in BACKENDS
    }
    assert names["torch"] == names["jax"] == names["tf"] - {"_engine.py"}  # Keras has 3


def test_no_source_file_is_over_400_lines():
    for path in ROOT.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path
