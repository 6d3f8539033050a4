"""The `zoo` command itself: help, errors, exit codes, and a closed pipe."""

import re
import subprocess
import sys

import pytest

import zoo
from tests.cli.invoked import ROOT, fails, run
from zoo.cli import COMMANDS


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
    slow |= {"jinja2", "matplotlib"}
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
