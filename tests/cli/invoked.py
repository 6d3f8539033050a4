"""The `zoo` command as tests call it: here, or in a process as a person does."""

import json
import re
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

import zoo
from zoo.cli import main

ROOT = Path(zoo.__file__).parent


def run(*args, code=0):
    """Run in this process; return the result, once its exit code is right."""
    result = CliRunner().invoke(main, [str(a) for a in args], prog_name="zoo")
    assert result.exit_code == code, result.output
    return result


def loads(*args, code=0):
    """Run with --json; return what is printed."""
    return json.loads(run(*args, "--json", code=code).stdout)


def fails(*args):
    """Run; return the one line on stderr."""
    result = run(*args, code=2)
    assert result.stdout == ""
    assert re.fullmatch(r"zoo: [^\n]+\n", result.stderr), result.stderr
    return result.stderr


def process(*args, code=0, **kwargs):
    """Run as a person does; return the process, once its exit code is right."""
    done = subprocess.run(
        [sys.executable, "-m", "zoo", *args],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
        **kwargs,
    )
    assert done.returncode == code, done.stderr
    return done


def in_process(*words, **options):
    """Run as a person does; return the process, however it ended."""
    command = [sys.executable, "-m", "zoo", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, **options)
