"""Deploy an API or traffic splitter again as it was before."""

from __future__ import annotations

import sys
from typing import Any

import click

from cortex_cli import options
from cortex_cli.control_characters import on_stdout
from cortex_cli.messages import show
from cortex_cli.output import print_json
from cortex_cli.suggestions import for_environment

SECTION = "APIs"


@click.command("rollback")
@options.name()
@click.argument("revision", required=False, type=options.TEXT)
@options.environment
@options.yes
@options.message
@options.output
def command(name: str, revision: str | None, env: str | None, yes: bool, message: str | None, output: str) -> None:
    """Deploy an API again as it was before: code, configuration and image; of a traffic splitter, the weights.

    Your files are not needed.

    REVISION is a number of `cortex history` (3 or v3) or the beginning of a revision; without it, what served before
    what serves now. An update that runs is given up.

    \b
    Example:
      cortex rollback iris v3 -m "v4 answers too slowly"
    """
    from cortex_cdk.client import Client
    from cortex_cli.progress import TerminalProgress

    with TerminalProgress(yes=yes) as progress:
        done = Client(env, progress).rollback(name, revision, message=message, check=False)
    if output == "json":
        document: dict[str, Any] = {
            "name": done.name,
            "number": done.number,
            "revision": done.revision,
            "endpoint": done.endpoint,
            "message": done.message,
            "changed": done.changed,
            "error": done.error.as_json() if done.error else None,
        }
        print_json(document)
    else:
        click.echo(on_stdout(f"{done.message}{f' as v{done.number}' if done.number and not done.error else ''}"))
        click.echo(for_environment(f"history:  cortex history {done.name}"))
    if done.error:
        show(done.error)
        sys.exit(1)
