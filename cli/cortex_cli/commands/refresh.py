"""Replace an API's replicas, one by one."""

from __future__ import annotations

import click

from cortex_cli import options
from cortex_cli.output import print_json
from cortex_cli.suggestions import for_environment

SECTION = "APIs"


@click.command("refresh")
@options.name()
@options.environment
@click.option(
    "-f", "--force", is_flag=True, help="Take the place of an update or refresh that runs, rather than refuse."
)
@options.output
def command(name: str, env: str | None, force: bool, output: str) -> None:
    """Begin to replace every replica of an API, without interrupting its traffic.

    The command does not wait for the end: `cortex get NAME --watch` shows the progress.

    \b
    Example:
      cortex refresh iris-classifier
    """
    from cortex_cdk.client import Client

    Client(env).refresh(name, force=force)
    if output == "json":
        print_json({"name": name, "message": f"updating {name}"})
        return
    click.echo(f"updating {name}")
    click.echo(for_environment(f"status:   cortex get --watch {name}"))
