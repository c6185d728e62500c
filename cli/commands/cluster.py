"""``cortex cluster``"""

from __future__ import annotations

from pathlib import Path

import click

from cli import options


@click.group("cluster")
def command() -> None:
    """Make, show and remove clusters."""


@command.command("up")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@options.environment
@options.yes
def up(config: Path | None, env: str | None, yes: bool) -> None:
    """Make the environment's cluster (as CONFIG, a cluster.yaml, says), or change it."""
    from cli.progress import TerminalProgress
    from cortex_cdk.client import Client
    from cortex_cdk.config.cluster import Cluster
    from cortex_cdk.config.load_cluster import load_cluster

    with TerminalProgress(yes=yes) as progress:
        client = Client(env, progress)
        cluster = (
            load_cluster(config) if config else Cluster.default(client.environment.cluster, client.environment.region)
        )
        changed = client.put_cluster(cluster)
    click.echo(f"the cluster {cluster.name} is {'ready' if changed else 'up to date'}")


@command.command("info")
@options.environment
def info(env: str | None) -> None:
    """Show the environment's cluster."""
    from cortex_cdk.client import Client

    cluster = Client(env).cluster
    click.echo(f"cluster:  {cluster.name}")
    click.echo(f"endpoint: {cluster.url}")
    for field, value in cluster.resources.model_dump(mode="json", exclude={"cluster", "providers"}).items():
        click.echo(f"{field}: {value}")
    for provider in cluster.resources.providers:
        click.echo(f"instance group: {provider.group} ({provider.accelerator}, {provider.capacity_provider})")
