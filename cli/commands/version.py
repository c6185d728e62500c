"""``cortex version``"""

from __future__ import annotations

import click


@click.command("version")
def command() -> None:
    """Print the version of this program."""
    from importlib.metadata import version

    click.echo(version("cortex-cdk"))
