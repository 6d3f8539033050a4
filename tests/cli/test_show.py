"""`zoo show`: source, cut live from the files, side by side where there is room."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.invoked import ROOT, loads, run
from zoo.registry import BACKENDS


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
