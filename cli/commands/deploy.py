"""``cortex deploy``"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import options
from cli.output import print_json

if TYPE_CHECKING:
    from cortex_cdk.config import Config
    from cortex_cdk.deploy.apply import Applied

SAMPLE = "sample.json"


@click.command("deploy")
@click.argument("config", type=click.Path(path_type=Path), default=Path("cortex.yaml"))
@options.environment
@options.yes
@click.option("-f", "--force", is_flag=True, help="Cancel an update that runs, rather than refuse.")
@options.output
def command(config: Path, env: str | None, yes: bool, force: bool, output: str) -> None:
    """Deploy the APIs of CONFIG (a file, or the folder of a cortex.yaml; default: ./cortex.yaml)."""
    from cli.main import warn
    from cli.progress import TerminalProgress
    from cortex_cdk.client import Client
    from cortex_cdk.config import load_config

    loaded = load_config(config)
    for warning in loaded.warnings:
        warn(str(warning))
    with TerminalProgress(yes=yes) as progress:
        results = Client(env, progress).deploy(loaded, force=force)
    if output == "json":
        print_json([_as_json(result) for result in results])
    else:
        _print(loaded, results)
    _show_errors(results)


def _as_json(result: Applied) -> dict[str, Any]:
    return {
        "name": result.name,
        "kind": result.kind,
        "revision": result.revision,
        "endpoint": result.endpoint,
        "message": result.message,
        "changed": result.changed,
        "error": result.error.message if result.error else None,
    }


def _print(config: Config, results: list[Applied]) -> None:
    for result in results:
        click.echo(result.message)
    serving = [result for result in results if not result.error]
    if not serving:
        return
    click.echo()
    for result in serving:
        click.echo(f"endpoint: {result.endpoint}")
    first = serving[0]
    click.echo(f"status:   cortex get {first.name}")
    click.echo(f"logs:     cortex logs {first.name}")
    sample = config.project_root / SAMPLE
    if sample.is_file():
        click.echo(f"try it:   {curl(first.endpoint, sample)}")


def curl(endpoint: str, sample: Path) -> str:
    """A command line that sends the project's sample."""
    sample, here = sample.resolve(), Path.cwd()
    shown = sample.relative_to(here) if sample.is_relative_to(here) else sample
    return shlex.join(["curl", endpoint, "-H", "Content-Type: application/json", "-d", f"@{shown}"])


def _show_errors(results: list[Applied]) -> None:
    from cli.main import show

    errors = [result.error for result in results if result.error]
    for error in errors:
        show(error)
    if errors:
        sys.exit(1)
