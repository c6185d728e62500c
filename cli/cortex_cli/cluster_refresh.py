"""``cortex cluster refresh``, and what other commands say of newer machine images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from cortex_cdk.errors import CortexError
from cortex_cli import options
from cortex_cli.messages import warn
from cortex_cli.output import agree, before_the_result, print_json, print_table
from cortex_cli.suggestions import for_environment

if TYPE_CHECKING:
    from cortex_cdk.client import Client
    from cortex_cdk.clusters.machine_images import GroupImages
    from cortex_cdk.clusters.refresh import GroupRefresh, RefreshPlan


@click.command("refresh")
@click.option("--group", metavar="GROUP", type=options.TEXT, help="Replace the instances of this instance group only.")
@options.environment
@options.yes
@options.output
def command(group: str | None, env: str | None, yes: bool, output: str) -> None:
    """Replace every instance by a new one of the newest machine image, without interrupting traffic.

    In each group one new instance starts, then the replicas of an old one move, then the old one ends. If the command
    is interrupted, the instances go on being replaced; the same command waits for the end.

    \b
    Example:
      cortex cluster refresh --env prod
    """
    from cortex_cdk.client import Client
    from cortex_cli.progress import TerminalProgress

    progress = TerminalProgress(yes=yes)
    client = Client(env, progress)
    with progress:
        plan = client.refresher.plan(group)
    with before_the_result(output):
        _print_plan(plan)
    _agree(client, plan, yes)
    with progress:
        refreshed = client.refresher.apply(plan)
    if output == "json":
        print_json({"cluster": plan.cluster, "instance_groups": [one.as_json() for one in refreshed]})
        return
    for one in refreshed:
        image = f", image {one.image}" if one.image else ""
        click.echo(f"instance group {one.group}: replaced {_count(len(one.replaced))}{image}")


def _count(number: int) -> str:
    return f"{number} instance{'s' * (number != 1)}"


def _print_plan(plan: RefreshPlan) -> None:
    click.echo(f"the instances of cluster {plan.cluster} would be replaced, one at a time in each group:")
    print_table([_row(group) for group in plan.groups])


def _row(group: GroupRefresh) -> dict[str, str]:
    images = group.images
    present = ", ".join(sorted(set(images.running.values()))) or images.configured or "unknown"
    return {
        "instance group": images.group,
        "instances": str(len(group.instances)),
        "image": present,
        "newest image": images.newest or "unknown",
    }


def _agree(client: Client, plan: RefreshPlan, yes: bool) -> None:
    """Ask unless ``--yes`` was given; on a no, or on Ctrl-C, discard the plan."""
    try:
        agree("Go on?", yes=yes, otherwise="nothing was changed: nobody can be asked")
    except (CortexError, click.Abort):
        client.refresher.discard(plan)
        raise


def warn_of_newer_images(images: Iterable[GroupImages]) -> None:
    """Write a warning to stderr for each instance group that could have a newer machine image."""
    for one in images:
        if one.has_newer:
            warn(f"{one.in_words()}: {for_environment('cortex cluster refresh')}")
