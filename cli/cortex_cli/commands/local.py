"""Start, stop and show the local cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cortex_cdk.localcloud.faults import DAEMON_KILL, GROUP_KINDS, KINDS, ONCE
from cortex_cdk.localcloud.settings import Settings
from cortex_cli import options
from cortex_cli.messages import warn
from cortex_cli.output import print_json, print_table
from cortex_cli.shell_completion import offered

if TYPE_CHECKING:
    from cortex_cdk.localcloud.endpoint import Endpoint
    from cortex_cdk.localcloud.faults import Fault

SECTION = "Clusters"

FAULT_SECONDS = 30.0

# For so long `up` waits for the APIs to come back; models that load longer come back later.
RETURN_SECONDS = 60.0


@click.group("local")
def command() -> None:
    """Start, stop and show the local cloud.

    \b
    Example:
      cortex local up
    """


@command.command("up")
@options.output
def up(output: str) -> None:
    """Start the local cloud, with every API that was deployed.

    \b
    Example:
      cortex local up
    """
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
    """Stop the local cloud and its replicas. What is deployed comes back with `cortex local up`.

    \b
    Example:
      cortex local down
    """
    from cortex_cdk.localcloud import launcher

    stopped = launcher.stop(Settings.from_environ())
    if output == "json":
        print_json({"stopped": stopped})
        return
    click.echo("the local cloud was stopped" if stopped else "the local cloud is not running")


@command.command("status")
@options.output
def status(output: str) -> None:
    """Show whether the local cloud runs, and where.

    \b
    Example:
      cortex local status
    """
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


@offered
def _breakable(context: click.Context) -> list[str]:
    """Offer the APIs of the local cloud, and its instance groups where a fault strikes those."""
    from cortex_cdk.environment import LOCAL
    from cortex_cdk.status.deployed_names import deployed_names, instance_groups

    groups = instance_groups(LOCAL) if context.params.get("kind") in GROUP_KINDS else []
    return groups + deployed_names(LOCAL)


@command.command("chaos")
@click.argument("kind", required=False, type=click.Choice(KINDS), metavar="[KIND]")
@click.argument("name", required=False, type=options.TEXT, shell_complete=_breakable)
@click.option(
    "--for",
    "seconds",
    type=options.DURATION,
    help=f"How long it lasts, such as 30s or 2m (default: {FAULT_SECONDS:g}s; kill-replica and spot-notice: once).",
)
@click.option("--list", "shows", is_flag=True, help="Show the faults that go on.")
@click.option("--stop", "stops", is_flag=True, help="End faults early: those of KIND and NAME, or all.")
@options.output
def break_something(
    kind: str | None, name: str | None, seconds: float | None, shows: bool, stops: bool, output: str
) -> None:
    """Break something in the local cloud, to see what happens.

    \b
    KIND is one of
      kill-replica, slow-replica, unready-replica,
      no-capacity, launch-failure, spot-notice,
      s3-down, logs-down, daemon-kill

    NAME is an API; for no-capacity, launch-failure and spot-notice also an instance group, or nothing for all of them.
    The other kinds need no NAME. A fault ends by itself.

    \b
    Example:
      cortex local chaos slow-replica iris-classifier --for 1m
    """
    if shows or stops:
        _show_faults(kind, name, output, ends=stops)
    elif kind is None:
        raise click.UsageError(f"say what to break: {', '.join(KINDS)}")
    elif kind == DAEMON_KILL:
        _kill_daemon(output)
    else:
        from cortex_cdk.chaos import Chaos
        from cortex_cdk.environment import LOCAL

        lasts = (0.0 if kind in ONCE else FAULT_SECONDS) if seconds is None else seconds
        Chaos(LOCAL).begin(kind, name, lasts)
        if output == "json":
            print_json({"kind": kind, "name": name, "seconds": lasts})
            return
        what = f"{kind} {name}" if name else kind
        click.echo(f"{what}: {f'for {lasts:g} seconds' if lasts else 'once'}")
        shown = f"cortex get {name}" if name and kind not in GROUP_KINDS else "cortex get"
        click.echo(f"see what becomes of it with: {shown}")


def _show_faults(kind: str | None, name: str | None, output: str, *, ends: bool) -> None:
    from cortex_cdk.chaos import Chaos
    from cortex_cdk.environment import LOCAL

    chaos = Chaos(LOCAL)
    found = chaos.end(kind, name) if ends else chaos.active()
    if output == "json":
        print_json([fault.as_json() for fault in found])
    elif not found:
        click.echo("there are no faults to end" if ends else "there are no faults")
    else:
        print_table([_row(fault) for fault in found])


def _row(fault: Fault) -> dict[str, str]:
    left = f"{fault.seconds:.0f} s"
    return {"fault": fault.kind, "name": fault.target or "-", "ends in": left, "detail": fault.detail or "-"}


def _kill_daemon(output: str) -> None:
    from cortex_cdk.localcloud import launcher

    pid = launcher.kill(Settings.from_environ())
    if output == "json":
        print_json({"killed": pid})
    elif pid is None:
        click.echo("the local cloud is not running")
    else:
        click.echo(f"the local cloud was killed (process {pid}); its APIs answer until a command starts it again")
