"""Print the version."""

from __future__ import annotations

import click

from cortex_cli import options
from cortex_cli.output import print_json

SECTION = "Other commands"


@click.command("version")
@options.environment
@options.output
def command(env: str | None = None, output: str = "pretty") -> None:
    """Print the version of this program; with --env, that of the environment's cluster, too.

    \b
    Example:
      cortex version --env prod
    """
    from importlib.metadata import version

    found = {"version": version("cortex-cdk")}
    if env:
        from cortex_cdk.client import Client

        found["cluster_version"] = Client(env).cluster.resources.version or "unknown"
    if output == "json":
        print_json(found)
        return
    click.echo(found["version"])
    if env:
        click.echo(f"cluster: {found['cluster_version']}")
