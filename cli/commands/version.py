"""``cortex version``"""

from __future__ import annotations

import click

from cli import options
from cli.output import print_json


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
