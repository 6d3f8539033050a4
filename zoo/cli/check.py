"""`zoo check`: walk the ladder over the twins of presets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..registry import list_models
from . import _options, _terminal

if TYPE_CHECKING:
    from ..parity.report import Report


@click.command(name="check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Every preset.")
@_options.small
@_options.backends
@_options.batch
@_options.seed
@click.option("--device", help="cpu, cuda, cuda:1, gpu:0 …")
@click.option("--train", is_flag=True, help="Also prove that training is the same.")
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    default=50,
    show_default=True,
    help="Length of the run with --train.",
)
@click.option("--recipe", type=click.Path(path_type=Path), help="JSON, for --train.")
@_options.changes
@_options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    every: bool,
    small: bool,
    backends: list[str],
    batch: int,
    seed: int,
    device: str | None,
    train: bool,
    steps: int,
    recipe: Path | None,
    changes: Sequence[str],
    as_json: bool,
) -> None:
    """Prove that the twins of presets are the same model.

    NAME is a preset or a pattern, such as 'resnet*'. Exit code 1 if a check fails.
    """
    if bool(names) == every:
        raise click.UsageError("Give one or more presets, or --all.")
    wanted = _expand(names or ("*",))
    configs = {name: _options.resolve(name, small, changes) for name in wanted}

    from ..parity.check import check

    how: Any = train
    if recipe is not None:
        from ..spec.recipe import Recipe

        how = Recipe.read(recipe)
    backends = list(_options.comparable(backends))
    console = _terminal.stdout()
    reports: list[Report] = []
    for name, config in configs.items():
        with _terminal.progress(len(configs)) as say:

            def tell(text: str, name: str = name) -> None:
                say(len(reports), f"{name}: {text}")

            _terminal.load_backends(backends, tell, least=2)
            report = check(
                config,
                backends=backends,
                batch=batch,
                seed=seed,
                device=device,
                train=how,
                steps=steps,
                progress=tell,
            )
        report.subject = name + (" (small)" if small else "")
        reports.append(report)
        if not as_json:
            _terminal.print_table(console, report.table())
            _terminal.print_text(console, "\n".join(report.summary()) + "\n")
    ok = all(r.ok for r in reports)
    if as_json:
        found = [json.loads(r.to_json()) for r in reports]
        click.echo(json.dumps({"ok": ok, "reports": found}, indent=2))
    elif len(reports) > 1:
        failed = [r.subject for r in reports if not r.ok]
        console.print(f"{len(reports) - len(failed)} of {len(reports)} proven the same")
        if failed:
            console.print(f"failed: {', '.join(failed)}", markup=False)
    ctx.exit(0 if ok else 1)


def _expand(names: Sequence[str]) -> list[str]:
    """Return presets in the order asked for; a pattern gives all that match."""
    found: list[str] = []
    for name in names:
        matches = list_models(name) if any(c in name for c in "*?[") else []
        found += matches or [name]
    return list(dict.fromkeys(found))
