"""The `zoo` command. Each subcommand is a module, imported only when it is used.

Exit codes: 0 success, 1 a check failed, 2 a ZooError or a wrong command line,
130 interrupted, 141 the reader of a pipe has closed it.
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from typing import Any

import click

from ..errors import ZooError, unknown
from ..version import __version__

COMMANDS = (
    "list", "info", "show", "check", "convert", "demo",
    "train", "evaluate", "predict", "recipe", "lr-find", "compare", "report", "bench",
    "explain",
)  # fmt: skip
INTERRUPTED, PIPE_CLOSED = 130, 141  # 128 + the signal's number, as shells have it

# Keeps frameworks quiet and modest; must be set before any of them is imported.
_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # oneDNN, CPU features, missing CUDA
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # three frameworks share one accelerator
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


class Commands(click.Group):
    """The group: finds commands by name, and prints errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # not list(COMMANDS): `list` is a module of this package

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return import_module(f".{cmd_name.replace('-', '_')}", __name__).command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise unknown("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            ctx.exit(PIPE_CLOSED)

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if hasattr(sys.stdout, "reconfigure"):  # for names that it cannot encode
            sys.stdout.reconfigure(errors="replace")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", category=UserWarning, module="zoo")
            warnings.showwarning = _print_note
            code = self._run(*args, **extra)
        if code == PIPE_CLOSED:  # else the interpreter's last flush fails
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(code)

    def _run(self, *args: Any, **extra: Any) -> int:
        try:
            code = super().main(*args, standalone_mode=False, **extra)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
        except BrokenPipeError:
            return PIPE_CLOSED
        except click.Abort:
            _print_error("interrupted.")
            return INTERRUPTED
        except ZooError as error:
            _print_error(str(error))
            return 2
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "zoo"
            _print_error(f"{error.format_message()} Try '{path} --help'.")
            return 2
        except click.ClickException as error:
            _print_error(error.format_message())
            return 2


def _print_error(text: str) -> None:
    click.echo(f"zoo: {text}", err=True)


def _print_note(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    _print_error(f"note: {message}")


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: zoo check unet --small",
)
@click.version_option(__version__, prog_name="zoo", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Every architecture natively in PyTorch, Keras and Flax, proven to be the same."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
