"""A user's own package adds an architecture; everything picks it up by itself."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

EXTERNAL = Path(__file__).parent / "external"


def run(code, *path):
    path = os.pathsep.join(map(str, path))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_an_external_architecture(tmp_path):
    code = f"""
        import zoo
        assert "gated_mlp" in zoo.list_models("gated*")
        report = zoo.check("gated_mlp", batch=4)
        assert report.ok, str(report)
        assert report.parameters == 2 * (6 * 5 + 5) + 5 * 3 + 3
        model = zoo.build("gated_mlp", backend="jax", num_classes=2)
        path = {str(tmp_path / "gated.safetensors")!r}
        zoo.save(model, path)
        again = zoo.load(path, backend="tf")
        assert zoo.backend_of(again) == "tf" and again.config == model.config
    """
    run(code, EXTERNAL)


def test_a_broken_package_is_named_in_one_line(tmp_path):
    info = tmp_path / "broken-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: broken\nVersion: 0.1\n"
    )
    (info / "entry_points.txt").write_text("[zoo.architectures]\nbroken = nowhere.x\n")
    code = """
        import zoo
        try:
            zoo.list_models()
        except zoo.ZooError as error:
            assert "'broken'" in str(error) and "\\n" not in str(error), str(error)
        else:
            raise AssertionError("not refused")
    """
    run(code, tmp_path)
