"""List, choose and define environments."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import click

from cortex_cdk import names
from cortex_cdk.environment import (
    Environment,
    Environments,
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
        print_json([_as_json(environment, environments) for environment in environments.all])
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


def _as_json(environment: Environment, environments: Environments) -> dict[str, Any]:
    return {**asdict(environment), "default": environment.name == environments.default}


@command.command("default")
@click.argument("name", required=False, type=options.TEXT, shell_complete=shell_completion.environments)
@options.output
def default(name: str | None, output: str) -> None:
    """Show the default environment, or make NAME the default.

    \b
    Example:
      cortex env default prod
    """
    environments = load_environments()
    if name is not None:
        environments.get(name)
        environments = replace(environments, default=name)
        save_environments(environments)
    if output == "json":
        print_json({"default": environments.default})
        return
    click.echo(environments.default if name is None else f"{name} is the default environment now")


@command.command("configure")
@click.argument("name", type=options.TEXT, shell_complete=shell_completion.environments)
@click.option("--cluster", type=options.TEXT, help=f"Name of the cluster (default: {names.DEFAULT_CLUSTER}).")
@click.option("--region", type=options.TEXT, help=f"AWS region (default: {names.DEFAULT_REGION}).")
@click.option(
    "--profile", type=options.TEXT, help="Profile of the AWS configuration files (default: the usual credential chain)."
)
@click.option("--endpoint-url", type=options.TEXT, metavar="URL", help="Replaces the AWS endpoints, for emulators.")
@options.output
def configure(
    name: str, cluster: str | None, region: str | None, profile: str | None, endpoint_url: str | None, output: str
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
    environments = environments.with_environment(environment)
    save_environments(environments)
    if output == "json":
        print_json(_as_json(environment, environments))
        return
    click.echo(f"configured {name} (cluster {environment.cluster} in {environment.region})")


@command.command("delete")
@click.argument("name", type=options.TEXT, shell_complete=shell_completion.environments)
@options.output
def delete(name: str, output: str) -> None:
    """Forget the environment NAME. Nothing in the account is touched.

    \b
    Example:
      cortex env delete prod
    """
    save_environments(load_environments().without(name))
    if output == "json":
        print_json({"name": name, "message": f"deleted {name}"})
        return
    click.echo(f"deleted {name}")
