"""``cortex refresh``"""

from __future__ import annotations

import click

from cli import options


@click.command("refresh")
@options.name()
@options.environment
def command(name: str, env: str | None) -> None:
    """Replace every replica of an API, without interrupting its traffic."""
    from cortex_cdk.client import Client

    Client(env).refresh(name)
    click.echo(f"updating {name}")
