"""List the deployments of an API or traffic splitter."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from cortex_cli import options
from cortex_cli.output import print_json
from cortex_cli.terminal import terminal_width

SECTION = "APIs"


@click.command("history")
@options.name()
@options.environment
@options.output
def command(name: str, env: str | None, output: str) -> None:
    """List the deployments of an API or traffic splitter, the newest first: when, who, why, what changed, how it ended.

    A star after the commit says that files of the project differed from the commit.

    \b
    Example:
      cortex history iris
    """
    from cortex_cdk.client import Client
    from cortex_cli.history_report import timeline

    history = Client(env).history(name)
    if output == "json":
        print_json(history.as_json())
        return
    click.echo(timeline(history, datetime.now(timezone.utc), terminal_width()))
