"""Delete an API or traffic splitter."""

from __future__ import annotations

import click
from cortex_serving.contract import REALTIME_API

from cortex_cdk.errors import NotDeployedError
from cortex_cli import options
from cortex_cli.output import agree, print_json

SECTION = "APIs"

# As Cortex does: few replicas are soon made again, while many serve somebody.
ASK_ABOVE_REPLICAS = 2


@click.command("delete")
@options.name()
@options.environment
@click.option("-y", "--yes", "-f", "--force", "yes", is_flag=True, help="Delete without a question.")
@options.output
def command(name: str, env: str | None, yes: bool, output: str) -> None:
    """Delete an API or traffic splitter and wait until it is gone.

    \b
    Example:
      cortex delete iris-classifier
    """
    from cortex_cdk.client import Client

    client = Client(env)
    kind, running = REALTIME_API, 0
    try:
        api = client.get(name)
        kind, running = api.kind, api.replicas.up_to_date + api.replicas.stale
    except NotDeployedError:
        # A first deployment that failed has left its records.
        if client.why_not_deployed(name) is None:
            raise
    if running > ASK_ABOVE_REPLICAS:
        has = f"{name} has {running} replicas"
        otherwise, hint = f"{has}: not deleted", "delete it all the same with --yes"
        agree(f"{has}. Delete it?", yes=yes, otherwise=otherwise, hint=hint)
    click.echo(f"deleting {name}", err=True)
    client.delete(name)
    if output == "json":
        print_json({"name": name, "kind": kind, "message": f"deleted {name}"})
        return
    click.echo(f"deleted {name}")
