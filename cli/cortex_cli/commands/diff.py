"""Show what differs between deployments of an API."""

from __future__ import annotations

import click

from cortex_cli import options
from cortex_cli.output import print_json

SECTION = "APIs"


@click.command("diff")
@options.name()
@click.argument("before", metavar="[A]", required=False, type=options.TEXT)
@click.argument("after", metavar="[B]", required=False, type=options.TEXT)
@options.environment
@options.output
def command(name: str, before: str | None, after: str | None, env: str | None, output: str) -> None:
    """Show what differs between two deployments of an API or traffic splitter: configuration, files, image.

    A and B are numbers of `cortex history` (3 or v3) or beginnings of revisions. Without B, A is compared with what
    serves; without both, what served before is.

    \b
    Example:
      cortex diff iris v2 v4
    """
    from cortex_cdk.client import Client
    from cortex_cli.history_report import comparison

    found = Client(env).diff(name, before, after)
    if output == "json":
        print_json(found.as_json())
        return
    click.echo(comparison(found))
