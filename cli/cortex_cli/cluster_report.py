"""Writes what ``cortex cluster info`` tells people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cortex_cli import cluster_refresh, plans
from cortex_cli.control_characters import on_stdout
from cortex_cli.messages import warn
from cortex_cli.output import print_table

if TYPE_CHECKING:
    from cortex_cdk.environment import Environment
    from cortex_cdk.status.cluster_info import ClusterInfo


def print_info(found: ClusterInfo, environment: Environment) -> None:
    """Write everything about a cluster for people; dangers and newer machine images as warnings.

    Args:
        found: What was read of the cluster.
        environment: Whose cluster.
    """
    click.echo(f"cluster:   {found.running.name} ({found.status})")
    click.echo(f"version:   {found.running.resources.version or 'unknown'}")
    click.echo(f"region:    {found.configuration.region}")
    click.echo(f"endpoint:  {found.running.url}")
    if found.running.resources.domain:
        click.echo(f"leads to:  {found.running.address}")
    click.echo(f"bucket:    {found.running.resources.bucket}")
    for danger in found.dangers:
        warn(danger)
    if found.dashboard:
        click.echo(f"dashboard: {found.dashboard}")
    click.echo()
    print_table(
        [
            {
                "instance group": state.group.name,
                "types": ", ".join(state.group.instance_types) + (" (spot)" if state.group.spot else ""),
                "running": str(state.running),
                "desired": str(state.desired),
                "min": str(state.group.min_instances),
                "max": str(state.group.max_instances),
            }
            for state in found.groups
        ]
    )
    for state in found.groups:
        if state.launch_failure:
            click.echo(on_stdout(f"{state.group.name} cannot start an instance: {state.launch_failure}"))
    cluster_refresh.warn_of_newer_images(state.images for state in found.groups if state.images)
    click.echo()
    plans.show_cost(found.cost, environment)
    click.echo()
    if found.apis:
        print_table([{"api": api.name, "kind": api.kind, "status": api.status} for api in found.apis])
    else:
        click.echo("no apis are deployed")
