"""Say what is wrong with an API, and what to do."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from cortex_cli import options
from cortex_cli.output import print_json
from cortex_cli.terminal import terminal_width

SECTION = "APIs"


@click.command("why")
@options.name()
@options.environment
@options.output
def command(name: str, env: str | None, output: str) -> None:
    """Say what is wrong with an API or traffic splitter, since when, the first cause, and what to do next.

    Below stands what the answer rests on: ended replicas, errors in the log, events. Exit code 0 means that there is an
    answer, also where something is wrong; scripts look at "cause" in -o json, which is null where nothing is.

    \b
    Example:
      cortex why iris
    """
    from cortex_cdk.client import Client
    from cortex_cli.why_report import report

    diagnosis = Client(env).why(name)
    if output == "json":
        print_json(diagnosis.as_json())
    else:
        click.echo(report(diagnosis, datetime.now(timezone.utc), terminal_width()))
