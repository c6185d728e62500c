"""List, choose and define environments."""

from __future__ import annotations

from dataclasses import asdict

import click

from cortex_cdk import names
from cortex_cdk.environment import (
    Environment,
    check_environment,
    load_environments,
    save_environments,
)
from cortex_cli import options, shell_completion
from cortex_cli.output import interactive, print_json, print_table

SECTION = "Clusters"


@click.group("env")
def command() -> None:
    """List, choose and define environments.

    \b
    Example:
      cortex env list
    """


@command.command("list")
@options.output
def list_environments(output: str) -> None:
    """List the environments.

    \b
    Example:
      cortex env list
    """
    environments = load_environments()
    if output == "json":
        print_json([{**asdict(e), "default": e.name == environments.default} for e in environments.all])
        return
    print_table(
        [
            {
                "env": environment.name + (" (default)" if environment.name == environments.default else ""),
                "cluster": environment.cluster,
                "region": environment.location,
                "profile": environment.profile or "-",
                "endpoint": environment.endpoint_url or "-",
            }
            for environment in environments.all
        ]
    )


@command.command("default")
@click.argument("name", required=False, shell_complete=shell_completion.environments)
def default(name: str | None) -> None:
    """Show the default environment, or make NAME the default.

    \b
    Example:
      cortex env default prod
    """
    environments = load_environments()
    if name is None:
        click.echo(environments.default)
        return
    environments.get(name)
    save_environments(type(environments)(name, environments.all))
    click.echo(f"{name} is the default environment now")


@command.command("configure")
@click.argument("name", shell_complete=shell_completion.environments)
@click.option("--cluster", help=f"Name of the cluster (default: {names.DEFAULT_CLUSTER}).")
@click.option("--region", help=f"AWS region (default: {names.DEFAULT_REGION}).")
@click.option("--profile", help="Profile of the AWS configuration files (default: the usual credential chain).")
@click.option("--endpoint-url", metavar="URL", help="Replaces the AWS endpoints, for emulators.")
def configure(
    name: str, cluster: str | None, region: str | None, profile: str | None, endpoint_url: str | None
) -> None:
    """Define the environment NAME, or change it. Credentials stay where AWS tools keep them.

    \b
    Example:
      cortex env configure prod --cluster main --region eu-west-1 --profile work
    """
    environments = load_environments()
    known = environments.to_configure(name)
    if interactive() and not (cluster or region or profile or endpoint_url):
        cluster = click.prompt("cluster", default=known.cluster, err=True)
        region = click.prompt("region", default=known.region, err=True)
        profile = click.prompt("AWS profile (empty: the usual credentials)", default=known.profile or "", err=True)
    environment = Environment(
        name=name,
        cluster=cluster or known.cluster,
        region=region or known.region,
        profile=profile or known.profile,
        endpoint_url=endpoint_url or known.endpoint_url,
    )
    check_environment(environment)
    save_environments(environments.with_environment(environment))
    click.echo(f"configured {name} (cluster {environment.cluster} in {environment.region})")


@command.command("delete")
@click.argument("name", shell_complete=shell_completion.environments)
def delete(name: str) -> None:
    """Forget the environment NAME. Nothing in the account is touched.

    \b
    Example:
      cortex env delete prod
    """
    save_environments(load_environments().without(name))
    click.echo(f"deleted {name}")
