"""Delete an API or traffic splitter."""

from __future__ import annotations

import click

from cortex_cdk.errors import CortexError
from cortex_cli import options
from cortex_cli.output import interactive, print_json

SECTION = "APIs"

# As Cortex does: few replicas are soon made again, while many serve somebody.
ASK_ABOVE_REPLICAS = 2


@click.command("delete")
@options.name()
@options.environment
@click.option("-y", "--yes", "-f", "--force", "yes", is_flag=True, help="Delete without a question.")
@options.output
def command(name: str, env: str | None, yes: bool, output: str) -> None:
    """Delete an API or traffic splitter and wait until it is gone."""
    from cortex_cdk.client import Client

    client = Client(env)
    api = client.get(name)
    running = api.replicas.up_to_date + api.replicas.stale
    if running > ASK_ABOVE_REPLICAS and not yes:
        if not interactive():
            raise CortexError(f"{name} has {running} replicas: not deleted", hint="delete it all the same with --yes")
        click.confirm(f"{name} has {running} replicas. Delete it?", abort=True, err=True)
    click.echo(f"deleting {name}", err=True)
    client.delete(name)
    if output == "json":
        print_json({"name": name, "kind": api.kind, "message": f"deleted {name}"})
        return
    click.echo(f"deleted {name}")
