"""Show what is deployed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from cortex_cli import options
from cortex_cli.messages import in_words, note_once
from cortex_cli.output import as_json, until_left
from cortex_cli.terminal import clear_screen, terminal_width

if TYPE_CHECKING:
    from cortex_cdk.client import Client
    from cortex_cdk.status.report import Report

SECTION = "APIs"

WATCH_SECONDS = 2.0


@click.command("get")
@options.name(required=False)
@options.environment
@click.option("-w", "--watch", is_flag=True, help="Show the same again every 2 seconds, until interrupted.")
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Show the replicas and models of the API NAME, too, and its configuration as it is deployed.",
)
@options.output
def command(name: str | None, env: str | None, watch: bool, verbose: bool, output: str) -> None:
    """Show every API and traffic splitter, or one of them.

    Requests and latencies are the load balancer's of the last two weeks.

    \b
    Example:
      cortex get iris-classifier --watch
    """
    from cortex_cdk.client import Client
    from cortex_cdk.environment import load_environments

    if verbose and not name:
        raise click.UsageError("--verbose shows one API: give its NAME, too")
    names = [env] if env or name else [environment.name for environment in load_environments().all]
    # Kept while watching, because a client does not read metrics each time.
    clients = [Client(environment) for environment in names]
    with until_left():
        while True:
            text = _one(clients[0], name, output, verbose=verbose) if name else _all(clients, output)
            if watch and output == "pretty":
                clear_screen()
            click.echo(text)
            if not watch:
                break
            time.sleep(WATCH_SECONDS)


def _one(client: Client, name: str, output: str, *, verbose: bool) -> str:
    from cortex_cli.get_report import detail

    report = client.report(name, detailed=verbose)
    return (
        as_json(report.as_json()) if output == "json" else detail(report, datetime.now(timezone.utc), terminal_width())
    )


def _all(clients: list[Client], output: str) -> str:
    from cortex_cli.get_report import overview

    found = _everywhere(clients)
    if output == "json":
        return as_json([{"env": env, **report.as_json()} for env, reports in found.items() for report in reports])
    return overview(found, datetime.now(timezone.utc), terminal_width())


def _everywhere(clients: list[Client]) -> dict[str, Sequence[Report]]:
    """Read the reports of each environment. One that does not answer is told of in a line, once, and hides no other.

    Raises:
        CortexError: None of them answers; what the last one met.
    """
    from cortex_cdk.errors import ClusterError

    found: dict[str, Sequence[Report]] = {}
    failures: dict[str, Exception] = {}
    for client in clients:
        name = client.environment.name
        try:
            found[name] = client.reports()
        except ClusterError:
            # An environment without a cluster has no APIs.
            found[name] = []
        except Exception as error:
            failures[name] = error
    if not found:
        name, last = failures.popitem()
        _note(failures)
        raise in_words(last, name)
    _note(failures)
    return found


def _note(failures: Mapping[str, Exception]) -> None:
    for name, error in failures.items():
        note_once(f"{in_words(error, name).message}; the APIs there are left out (cortex get -e {name} says more)")
