"""Print the version."""

from __future__ import annotations

import click

from cortex_cli import options
from cortex_cli.output import print_json

SECTION = "Other commands"


@click.command("version")
@options.output
def command(output: str = "pretty") -> None:
    """Print the version of this program."""
    from importlib.metadata import version

    found = version("cortex-cdk")
    if output == "json":
        print_json({"version": found})
        return
    click.echo(found)
