"""The `zoo` command: what it prints, where, and with which exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import zoo
from zoo import source
from zoo.cli import COMMANDS, main
from zoo.registry import BACKENDS
from zoo.source import Part, align

ROOT = Path(zoo.__file__).parent


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(a) for a in args], prog_name="zoo")
    assert result.exit_code == code, result.output
    return result


def loads(*args, code=0):
    return json.loads(run(*args, "--json", code=code).stdout)


def fails(*args):
    """Run; return the one line on stderr."""
    result = run(*args, code=2)
    assert result.stdout == ""
    assert re.fullmatch(r"zoo: [^\n]+\n", result.stderr), result.stderr
    return result.stderr


def process(*args, code=0, **kwargs):
    """Run as a person does."""
    done = subprocess.run(
        [sys.executable, "-m", "zoo", *args],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
        **kwargs,
    )
    assert done.returncode == code, done.stderr
    return done


# the command itself


def test_help_lists_every_command():
    for args in ([], ["--help"], ["-h"]):
        text = run(*args).stdout
        for name in COMMANDS:
            assert re.search(rf"^  {name} +\w", text, re.M)
        assert "..." not in text.partition("Commands:")[2]  # 80 columns cut none short


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_json(name):
    assert "--json" in run(name, "--help").stdout


def test_version():
    assert run("--version").stdout == f"zoo {zoo.__version__}\n"


def test_zoo_cli_imports_nothing_slow():
    code = (
        "import sys; from zoo.cli import main\n"
        "main(['list'], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    slow = {"numpy", "rich", "safetensors", "torch", "tensorflow", "keras", "jax"}
    assert not slow & set(done.stderr.split())


@pytest.mark.parametrize(
    "args, words",
    [
        (["chek"], "Did you mean 'check'?"),
        (["--verison"], "Did you mean '--version'?"),
        (["info"], "Missing argument 'NAME'"),
        (["info", "resnet19"], "Did you mean 'resnet"),
        (["info", "mlp", "--set", "hiden=3"], "Did you mean 'hidden'?"),
        (["info", "mlp", "--set", "hidden"], "key=value"),
        (["show", "unett"], "Did you mean 'unet'?"),
        (["show", "unet", "--backend", "torhc"], "Did you mean 'torch'?"),
        (["check"], "or --all"),
        (["check", "mlp", "--all"], "or --all"),
        (["check", "nope*"], "unknown preset 'nope*'"),
        (["check", "mlp", "--set", "num_classes=-1"], "num_classes must be"),
        (["check", "mlp", "--batch", "0"], "--batch"),
        (["check", "mlp", "--backend", "flax"], "twice"),
        (["check", "mlp", "--backend", "jax", "--backend", "flax"], "twice"),
        (["convert", "no.safetensors", "x", "--to", "jax"], "no such file"),
        (["convert", "no.safetensors", "x", "--to", "onnx"], "unknown backend"),
        (["convert", "a", "b", "--to", "jax", "--set", "x=1"], "--name"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(args, words):
    assert words in fails(*args)


# zoo list


def test_list_names_every_preset():
    lines = run("list").stdout.splitlines()
    assert sorted(line.split()[0] for line in lines) == zoo.list_models()
    assert "\x1b" not in "".join(lines)


def test_list_json_is_an_array_of_objects():
    found = loads("list")
    assert sorted(entry["name"] for entry in found) == zoo.list_models()
    unet = next(entry for entry in found if entry["name"] == "unet")
    assert unet["family"] == "unet"
    assert unet["inputs"][0]["shape"] == [64, 64, 3]
    assert zoo.config("unet").from_dict(unet["config"]) == zoo.config("unet")


@pytest.mark.parametrize(
    "pattern, present, absent",
    [
        ("resnet*", "resnet18", "plain20"),
        ("resnet", "plain20", "vgg16"),  # a family
        ("vgg", "vgg16", "cnn"),  # a part of names
        ("vgg1?_bn", "vgg11_bn", "vgg11"),
    ],
)
def test_list_takes_a_pattern_a_family_or_a_part(pattern, present, absent):
    names = [entry["name"] for entry in loads("list", pattern)]
    assert present in names
    assert absent not in names


def test_list_without_a_match():
    result = run("list", "unett")
    assert result.stdout == ""
    assert "Did you mean 'unet'?" in result.stderr
    assert loads("list", "unett") == []


# zoo info


def test_info_counts_parameters():
    found = loads("info", "unet")
    assert found["parameters"] == sum(found["submodules"].values()) == 1_862_849
    assert found["buffers"] == 0
    assert found["weights"]["head.weight"] == [1, 64, 1, 1]
    assert all(Path(found["files"][backend]).is_file() for backend in BACKENDS)
    text = run("info", "unet", "--depth", 1).stdout
    assert "1,862,849 parameters" in text
    assert re.search(r"middle\s+885,248", text)
    assert re.search(r"image\s+\(N, 64, 64, 3\) float32", text)
    assert "torch/unet.py" in text


def test_info_depth_weights_and_changes():
    args = ["info", "unet_bn", "--small", "--set", "in_channels=2"]
    text = run(*args, "--depth", 3, "--weights").stdout
    assert re.search(r"down\.0\.conv1\s+152\b", text)
    assert re.search(r"down\.0\.conv1\.weight\s+\(8, 2, 3, 3\)", text)
    assert "in buffers" in text
    assert "down.0" not in run(*args, "--depth", 1).stdout


def test_settings_are_json_python_or_words():
    changes = ["hidden=[3, 4]", "norm=batch", "dropout=.5", "num_classes=1_0"]
    args = [word for c in changes for word in ("--set", c)]
    config = loads("info", "mlp", *args)["config"]
    assert config["hidden"] == [3, 4]
    assert (config["norm"], config["dropout"], config["num_classes"]) == (
        "batch",
        0.5,
        10,
    )
    again = loads("info", "mlp", "--set", "hidden=(3, 4)")["config"]
    assert again["hidden"] == [3, 4]
    flag = loads("info", "lstm", "--small", "--set", "bidirectional=true")["config"]
    assert flag["bidirectional"] is True


# zoo show


def test_show_in_a_pipe_is_source():
    text = run("show", "unet").stdout
    compile(text, "shown", "exec")
    assert text.count("class UNet(") == 3
    assert "\x1b" not in text
    one = run("show", "unet", "--backend", "keras").stdout
    assert "class UNet(Model):" in one
    assert "torch" not in one


def test_show_is_cut_live_from_the_files():
    found = loads("show", "gpt")["twins"]
    for backend in BACKENDS:
        text = Path(found[backend]["file"]).read_text()
        for block in found[backend]["source"].rstrip("\n").split("\n\n\n"):
            assert block in text
        assert "class GPT(" in found[backend]["source"]
        assert "class ViT(" not in found[backend]["source"]
        line = text.splitlines()[found[backend]["line"] - 1]
        assert line == found[backend]["source"].splitlines()[0]


def test_show_whole_and_layers():
    found = loads("show", "rnn", "--whole", "--backend", "torch")["twins"]["torch"]
    assert found["source"] == Path(found["file"]).read_text()
    layers = loads("show", "rnn", "--layers")["twins"]
    assert "class LSTM" in layers["torch"]["source"]
    compile(layers["jax"]["source"], "shown", "exec")


@pytest.mark.parametrize("name", zoo.list_models())
@pytest.mark.parametrize("whole", [False, True])
def test_every_line_of_a_twin_stands_in_the_aligned_view(name, whole):
    config = zoo.config(name)
    cuts = [
        source.cut(config, backend, whole=whole, layers=True) for backend in BACKENDS
    ]
    rows = align([c.parts for c in cuts])
    for i, cut in enumerate(cuts):
        parts = [row[i] for row in rows if row[i]]
        covered = [n for part in parts for n in range(part.start, part.stop)]
        lines = cut.code.splitlines()
        assert covered[: len(lines)] == list(range(len(lines)))
        assert set(range(len(lines))) <= set(covered)


def test_align_keeps_what_only_one_twin_has():
    def parts(*names):
        return [Part((n, "", "", 0), i, i + 1) for i, n in enumerate(names)]

    rows = align([parts("a", "c"), parts("a", "b", "c"), parts("z", "a", "c")])
    shown = ["".join(p.key[0] if p else "-" for p in row) for row in rows]
    assert shown == ["--z", "aaa", "-b-", "ccc"]


def test_show_side_by_side_where_there_is_backend():
    wide = screen(160, "show", "rnn")
    heads = [line for line in wide if "PyTorch:" in line]
    assert len(heads) == 1
    assert all(title in heads[0] for title in ("Keras:", "Flax:"))
    steps = [line for line in wide if "# § recur" in line]
    assert len(steps) == 1
    assert steps[0].count("# § recur") == 3
    assert max(map(len, wide)) <= 160
    narrow = screen(80, "show", "rnn")
    assert sum("# § recur" in line for line in narrow) == 3
    assert max(map(len, narrow)) <= 80


def screen(width, *args):
    """Run in a pseudo-terminal of this width; return its lines without colours."""
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    child = subprocess.Popen(
        [sys.executable, "-m", "zoo", *args],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT.parent,
        env={**env, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    chunks = []
    try:
        while chunk := os.read(ours, 65536):
            chunks.append(chunk)
    except OSError:  # Linux tells the end of a pseudo-terminal so
        pass
    os.close(ours)
    assert child.wait() == 0
    text = b"".join(chunks).decode()
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return [line.rstrip() for line in plain.replace("\r\n", "\n").split("\n")]


# zoo check


def test_check_passes():
    result = run("check", "xor_mlp", "lenet5", "--small")
    assert "xor_mlp (small)" in result.stdout
    assert result.stdout.count("torch = tf = jax: the same model") == 2
    assert "2 of 2 proven the same" in result.stdout
    assert "\x1b" not in result.stdout


def test_check_json_and_options():
    args = ["tiny_mlp", "--backend", "pytorch", "--backend", "jax", "--seed", 3]
    found = loads("check", *args, "--batch", 5, "--set", "num_classes=4")
    assert found["ok"] is True
    (report,) = found["reports"]
    assert report["backends"] == ["torch", "jax"]
    assert report["parameters"] == 3 * 4 + 4 + 4 * 4 + 4
    assert {r["name"] for r in report["rungs"]} >= {"names", "forward", "gradients"}


def test_a_failed_check_is_exit_code_1(monkeypatch):
    torch_mlp = pytest.importorskip("zoo.torch.mlp")
    forward = torch_mlp.MLP.forward
    monkeypatch.setattr(torch_mlp.MLP, "forward", lambda self, x: forward(self, x) + 1)
    args = ["check", "tiny_mlp", "--backend", "torch", "--backend", "jax"]
    result = run(*args, code=1)
    assert "FAIL" in result.stdout
    assert "first divergence: forward in float64" in result.stdout
    assert loads(*args, code=1)["ok"] is False


def test_check_takes_patterns():
    result = run("check", "tiny_*", "--backend", "torch", "--backend", "jax")
    assert "tiny_mlp" in result.stdout


# zoo convert


@pytest.fixture(scope="module")
def model():
    return zoo.build("tiny_mlp", seed=5)


@pytest.fixture
def saved(model, tmp_path):
    zoo.save(model, tmp_path / "in.safetensors")
    return tmp_path / "in.safetensors"


def test_convert_writes_what_the_plain_framework_loads(saved, model, tmp_path):
    from safetensors.numpy import load_file

    weights = zoo.state(model)
    out = tmp_path / "torch.safetensors"
    assert (
        "MLP for PyTorch, 26 parameters"
        in run("convert", saved, out, "--to", "torch").stdout
    )
    assert load_file(out).keys() == weights.keys()
    out = tmp_path / "jax.safetensors"
    found = loads("convert", saved, out, "--to", "flax")
    assert found["bytes"] == out.stat().st_size
    kernels = load_file(out)
    assert np.array_equal(kernels["head.kernel"], weights["head.weight"].T)
    out = tmp_path / "m.keras"
    run("convert", saved, out, "--to", "keras")
    import keras

    again = keras.models.load_model(out)
    x = zoo.example_inputs(model)
    assert np.allclose(zoo.predict(again, x), zoo.predict(model, x), atol=1e-6)


def test_convert_a_foreign_file_needs_its_name(model, tmp_path):
    from safetensors.numpy import save_file

    path, out = tmp_path / "plain.safetensors", tmp_path / "out.safetensors"
    save_file(zoo.state(model), path)
    assert "--name" in fails("convert", path, out, "--to", "jax")
    run("convert", path, out, "--to", "jax", "--name", "tiny_mlp")
    out.unlink()
    args = ["convert", path, out, "--to", "jax", "--name", "tiny_mlp"]
    result = run(*args, "--set", "num_classes=3", code=2)
    first, *rest = result.stderr.splitlines()
    assert first.startswith("zoo: ")
    assert any("head.weight: expected (3, 4), got (2, 4)" in line for line in rest)
    assert not out.exists()


def test_convert_refuses_to_write_over_its_input(saved):
    before = saved.read_bytes()
    assert "the same file" in fails("convert", saved, saved, "--to", "torch")
    assert "ends in .keras" in fails("convert", saved, f"{saved}.h5", "--to", "tf")
    assert "cannot write" in fails("convert", saved, "/nowhere/x", "--to", "torch")
    assert saved.read_bytes() == before


# as a person meets it: in a process


@pytest.mark.slow
def test_check_in_a_process_keeps_stderr_clean():
    args = ["check", "tiny_mlp", "--json"]
    done = process(*args, env={k: v for k, v in os.environ.items() if k[:3] != "TF_"})
    assert json.loads(done.stdout)["ok"] is True
    assert done.stderr == ""


def test_a_closed_pipe_is_quiet():
    with subprocess.Popen(
        [sys.executable, "-m", "zoo", "show", "unet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT.parent,
    ) as child:
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 141


WALL = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Wall())
from zoo.cli import main
main(sys.argv[1:], prog_name="zoo")
"""


@pytest.mark.parametrize(
    "blocked, counted",
    [(["torch"], 26), (["torch", "tensorflow", "keras", "jax"], None)],
)
def test_a_missing_framework_is_told_in_one_line(blocked, counted):
    child = [sys.executable, "-c", WALL.format(blocked=blocked)]
    args = ["check", "tiny_mlp", "--backend", "torch", "--backend", "jax"]
    done = subprocess.run([*child, *args], capture_output=True, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"zoo: .*pip install '\.\[all\]'\.\n", done.stderr)
    args = ["info", "tiny_mlp", "--json"]
    done = subprocess.run([*child, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"] == counted
