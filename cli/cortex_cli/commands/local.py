"""Start, stop and show the local cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cortex_cdk.localcloud.settings import Settings
from cortex_cli import options
from cortex_cli.messages import warn
from cortex_cli.output import print_json

if TYPE_CHECKING:
    from cortex_cdk.localcloud.endpoint import Endpoint

SECTION = "Clusters"

# For so long `up` waits for the APIs to come back; models that load longer come back later.
RETURN_SECONDS = 60.0


@click.group("local")
def command() -> None:
    """Start, stop and show the local cloud."""


@command.command("up")
@options.output
def up(output: str) -> None:
    """Start the local cloud, with every API that was deployed."""
    from cortex_cdk.client import Client
    from cortex_cdk.environment import LOCAL
    from cortex_cdk.localcloud import launcher

    settings = Settings.from_environ()
    endpoint = launcher.ensure_running(settings)
    if endpoint.news:
        warn(endpoint.news)
    if output == "pretty":
        click.echo("the local cloud is running")
    # This client tells about the start, as any other would.
    apis = Client(LOCAL).wait_until_settled(RETURN_SECONDS)
    if output == "json":
        print_json({**_as_json(settings, endpoint), "apis": [{"name": api.name, "status": api.status} for api in apis]})
        return
    for api in apis:
        click.echo(f"{api.name + ':':9} {api.status}")
    click.echo(f"APIs:     {endpoint.http_url}")
    click.echo(f"AWS API:  {endpoint.control_url} (aws --endpoint-url {endpoint.control_url} ...)")


def _as_json(settings: Settings, endpoint: Endpoint | None) -> dict[str, Any]:
    return {
        "running": endpoint is not None,
        "pid": endpoint.pid if endpoint else None,
        "apis_url": endpoint.http_url if endpoint else None,
        "aws_url": endpoint.control_url if endpoint else None,
        "state": str(settings.state),
    }


@command.command("down")
@options.output
def down(output: str) -> None:
    """Stop the local cloud and its replicas. What is deployed comes back with `cortex local up`."""
    from cortex_cdk.localcloud import launcher

    stopped = launcher.stop(Settings.from_environ())
    if output == "json":
        print_json({"stopped": stopped})
        return
    click.echo("the local cloud was stopped" if stopped else "the local cloud is not running")


@command.command("status")
@options.output
def status(output: str) -> None:
    """Show whether the local cloud runs, and where."""
    from cortex_cdk.localcloud import launcher

    settings = Settings.from_environ()
    endpoint = launcher.status(settings)
    for told in filter(None, (endpoint.notice, endpoint.news) if endpoint else ()):
        warn(told)
    if output == "json":
        print_json(_as_json(settings, endpoint))
        return
    if endpoint is None:
        click.echo("the local cloud is not running (start it with: cortex local up)")
        return
    click.echo(f"the local cloud is running (process {endpoint.pid})")
    click.echo(f"APIs:     {endpoint.http_url}")
    click.echo(f"AWS API:  {endpoint.control_url}")
    click.echo(f"state:    {settings.state}")
