"""``cortex get``"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from cli import options
from cli.output import age, print_json, print_table

if TYPE_CHECKING:
    from cortex_cdk.status import ApiStatus

WATCH_SECONDS = 2.0


@click.command("get")
@click.argument("name", required=False)
@options.environment
@click.option("-w", "--watch", is_flag=True, help="Show it again every 2 seconds, until interrupted.")
@options.output
def command(name: str | None, env: str | None, watch: bool, output: str) -> None:
    """Show every API, or one of them."""
    while True:
        _show(name, env, output)
        if not watch:
            break
        time.sleep(WATCH_SECONDS)
        click.clear()


def _show(name: str | None, env: str | None, output: str) -> None:
    from cortex_cdk.client import Client

    if name:
        api = Client(env).get(name)
        if output == "json":
            print_json(api.as_json())
        else:
            _print_one(api)
        return
    found = _everywhere() if env is None else {env: Client(env).list()}
    if output == "json":
        print_json([{"env": where, **api.as_json()} for where, apis in found.items() for api in apis])
        return
    rows = [row(api, env=where) for where, apis in found.items() for api in apis]
    if rows:
        print_table(rows)
    else:
        click.echo("no apis are deployed")


def _everywhere() -> dict[str, list[ApiStatus]]:
    """The APIs of every environment. One that cannot be reached is reported, and does not hide the others."""
    from cli.main import in_words, show
    from cortex_cdk.client import Client
    from cortex_cdk.environment import load_environments
    from cortex_cdk.errors import ClusterError

    environments = load_environments().all
    found = {}
    for environment in environments:
        try:
            found[environment.name] = Client(environment.name).list()
        except ClusterError:
            # An environment without a cluster has no APIs.
            found[environment.name] = []
        except Exception as error:
            if len(environments) == 1:
                raise
            show(in_words(error))
    return found


def row(api: ApiStatus, env: str | None = None) -> dict[str, str]:
    """One line of the table."""
    named = {"env": env, "api": api.name, "kind": api.kind} if env else {}
    return {
        **named,
        "status": api.status,
        "up-to-date": str(api.replicas.up_to_date),
        "stale": str(api.replicas.stale),
        "requested": str(api.replicas.requested),
        "failed": str(api.replicas.failed),
        "last update": age(api.last_update),
    }


def _print_one(api: ApiStatus) -> None:
    print_table([row(api)])
    click.echo()
    if api.reason:
        click.echo(f"reason:   {api.reason}")
    click.echo(f"kind:     {api.kind}")
    if api.revision:
        click.echo(f"revision: {api.revision}")
    click.echo(f"endpoint: {api.endpoint}")
