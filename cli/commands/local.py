"""``cortex local``"""

from __future__ import annotations

import click

from cortex_cdk.localcloud.settings import Settings

# How long `up` waits for the APIs that were deployed before; models that load longer come back later.
RETURN_SECONDS = 60.0


@click.group("local")
def command() -> None:
    """Start, stop and show the local cloud."""


@command.command("up")
def up() -> None:
    """Start the local cloud, with every API that it had."""
    from cli.main import warn
    from cortex_cdk.client import Client
    from cortex_cdk.environment import LOCAL
    from cortex_cdk.localcloud import launcher

    endpoint = launcher.ensure_running(Settings.from_environ())
    if endpoint.notice:
        warn(endpoint.notice)
    click.echo("the local cloud is running")
    for api in Client(LOCAL).wait_until_settled(RETURN_SECONDS):
        click.echo(f"{api.name + ':':9} {api.status}")
    click.echo(f"APIs:     {endpoint.http_url}")
    click.echo(f"AWS API:  {endpoint.control_url} (aws --endpoint-url {endpoint.control_url} ...)")


@command.command("down")
def down() -> None:
    """Stop the local cloud and its replicas. What is deployed comes back with `cortex local up`."""
    from cortex_cdk.localcloud import launcher

    stopped = launcher.stop(Settings.from_environ())
    click.echo("the local cloud was stopped" if stopped else "the local cloud is not running")


@command.command("status")
def status() -> None:
    """Show whether the local cloud runs, and where."""
    from cortex_cdk.localcloud import launcher

    settings = Settings.from_environ()
    endpoint = launcher.status(settings)
    if endpoint is None:
        click.echo("the local cloud is not running (start it with: cortex local up)")
        return
    click.echo(f"the local cloud is running (process {endpoint.pid})")
    click.echo(f"APIs:     {endpoint.http_url}")
    click.echo(f"AWS API:  {endpoint.control_url}")
    click.echo(f"state:    {settings.state}")
