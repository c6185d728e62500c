"""Make, show, change and remove clusters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from cortex_cdk.errors import CortexError
from cortex_cdk.names import CLUSTER_FILE, cluster_stack
from cortex_cli import cluster_refresh, options, plans
from cortex_cli.control_characters import on_stderr
from cortex_cli.messages import warn
from cortex_cli.output import agree, as_json, before_the_result, print_json

if TYPE_CHECKING:
    from cortex_cdk.aws.permissions.documents import Policy, Purpose
    from cortex_cdk.client import Client
    from cortex_cdk.clusters.removal import Removal

SECTION = "Clusters"


@click.group("cluster")
def command() -> None:
    """Make, show, change and remove clusters.

    \b
    Example:
      cortex cluster up
    """


command.add_command(cluster_refresh.command)


@command.command("up")
@click.argument("config", required=False, type=options.PathOf())
@options.environment
@options.yes
@options.plan
@options.output
def up(config: Path | None, env: str | None, yes: bool, plan: bool, output: str) -> None:
    """Make the environment's cluster, or change it.

    CONFIG is a cluster.yaml or its folder. Without it a new cluster is made from the built-in configuration, and one
    that exists keeps its own.

    \b
    Example:
      cortex cluster up cluster.yaml --env prod
    """
    _put(config, env, yes, creates=True, only_plan=plan, output=output)


@command.command("configure")
@click.argument("config", required=False, type=options.PathOf())
@options.environment
@options.yes
@options.plan
@options.output
def configure(config: Path | None, env: str | None, yes: bool, plan: bool, output: str) -> None:
    """Change the environment's cluster.

    CONFIG is a cluster.yaml or its folder. Without it the cluster keeps its configuration, and becomes what this
    version of cortex makes of it.

    \b
    Example:
      cortex cluster configure cluster.yaml --env prod --plan
    """
    _put(config, env, yes, creates=False, only_plan=plan, output=output)


def _put(config: Path | None, env: str | None, yes: bool, *, creates: bool, only_plan: bool, output: str) -> None:
    from cortex_cdk.client import Client
    from cortex_cdk.clusters.change import CLUSTER_KIND
    from cortex_cdk.stack_operations.plan_report import PlanReport
    from cortex_cli.progress import TerminalProgress

    if config is None and Path(CLUSTER_FILE).exists():
        # Unlike ./cortex.yaml, which deploy reads: an own cluster would be taken for the one of the file.
        verb = "up" if creates else "configure"
        warn(f"the {CLUSTER_FILE} of this folder is not read; use it with: cortex cluster {verb} {CLUSTER_FILE}")
    progress = TerminalProgress(yes=yes)
    client = Client(env, progress)
    name = client.environment.cluster
    with progress:
        plan = client.plan_cluster(config, creates=creates)
    if only_plan:
        unchanged = PlanReport.unchanged(name, CLUSTER_KIND, cluster_stack(name))
        plans.end_with(plan.report() if plan else unchanged, client.environment, output)
    if plan is None:
        with progress:
            client.check_cluster_members()
        _print_put(client, f"the cluster {name} is up to date", output, changed=False)
        cluster_refresh.warn_of_newer_images(client.refresher.images())
        return
    with before_the_result(output):
        plans.show(plan.report(), client.environment)
    agree("Go on?", yes=yes, otherwise="nothing was changed: nobody can be asked")
    with progress:
        client.apply_cluster(plan)
    _print_put(client, f"the cluster {name} is ready at {client.cluster.url}", output, changed=True)
    if plan.deployed:
        cluster_refresh.warn_of_newer_images(client.refresher.images())
    if output == "pretty" and plan.cluster.load_balancer.certificate_arn and not _is_address(client.cluster.url):
        click.echo("point the certificate's domain to it with a DNS record (CNAME, or an alias in Route 53)")


def _print_put(client: Client, message: str, output: str, *, changed: bool) -> None:
    if output == "json":
        name, url = client.environment.cluster, client.cluster.url
        print_json({"name": name, "endpoint": url, "message": message, "changed": changed})
        return
    click.echo(message)


def _is_address(url: str) -> bool:
    """Return whether a URL's host is an IP address, to which no DNS record could lead."""
    try:
        ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True


@command.command("info")
@options.environment
@options.output
def info(env: str | None, output: str) -> None:
    """Show the environment's cluster: endpoint, instances, cost, APIs.

    \b
    Example:
      cortex cluster info --env prod
    """
    from cortex_cdk.client import Client
    from cortex_cli.cluster_report import print_info

    client = Client(env)
    found = client.cluster_info()
    if output == "json":
        print_json(found.as_json())
        return
    print_info(found, client.environment)


@command.command("policy")
@click.argument("config", required=False, type=options.PathOf())
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["cluster", "deploy", "cloudformation"]),
    help="Whom the policy is for: whoever makes, changes and removes the cluster (and may deploy to it), whoever "
    "deploys to it, or the role that CloudFormation takes. Default: the first two.",
)
@click.option(
    "--into",
    "folder",
    metavar="FOLDER",
    type=options.PathOf(file_okay=False),
    help="Write a file NAME.json for each policy into a folder, for `aws iam create-policy`.",
)
@options.environment
@options.output
def policy(config: Path | None, purpose: Purpose | None, folder: Path | None, env: str | None, output: str) -> None:
    """Print the smallest IAM policies for those who use the environment's cluster.

    A JSON object: policies by name, of a size that IAM takes; whoever needs several needs all of them. With `-o pretty`
    the reasons are on stderr. CONFIG is a cluster.yaml or its folder: only what that cluster needs is then allowed.

    \b
    Example:
      cortex cluster policy --env prod --for deploy --into policies
    """
    from cortex_cdk.clusters.policy import cluster_policies
    from cortex_cdk.environment import load_environments

    purposes: list[Purpose] = [purpose] if purpose else ["cluster", "deploy"]
    found = cluster_policies(load_environments().get(env), purposes, config)
    documents = {policy.name: policy.document for one in found.values() for policy in one}
    if output == "pretty":
        for one, policies in found.items():
            _print_reasons(one, policies)
    if folder:
        _write_policies(folder, documents)
        return
    print_json(documents)


def _print_reasons(purpose: Purpose, policies: Sequence[Policy]) -> None:
    """Say on stderr what each policy is for: stdout is for the policies alone."""
    from cortex_cdk.aws.permissions.documents import MOST_CHARACTERS, PURPOSES, UNKNOWN_ACCOUNT, characters

    click.secho(f"policies {PURPOSES[purpose]}:", bold=True, err=True)
    for policy in policies:
        click.echo(f"  {policy.name}: {characters(policy.document)} of {MOST_CHARACTERS} characters", err=True)
        for why, actions in policy.reasons.items():
            click.echo(on_stderr(f"    {why}: {', '.join(actions)}"), err=True)
    if any(f":{UNKNOWN_ACCOUNT}:" in json.dumps(policy.document) for policy in policies):
        click.echo("note: the account is not known, and * stands for it: name it as account in cluster.yaml", err=True)


def _write_policies(folder: Path, documents: Mapping[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in documents.items():
            path = folder / f"{name}.json"
            path.write_text(as_json(document) + "\n")
            click.echo(str(path))
    except OSError as error:
        raise CortexError(f"{folder} cannot be written to: {error.strerror}", hint="name another --into") from error


@command.command("down")
@options.environment
@options.yes
@options.output
def down(env: str | None, yes: bool, output: str) -> None:
    """Remove the environment's cluster with every API and traffic splitter on it.

    \b
    Example:
      cortex cluster down --env preview
    """
    from cortex_cdk.client import Client
    from cortex_cli.progress import TerminalProgress

    progress = TerminalProgress(yes=yes)
    client = Client(env, progress)
    removal = client.plan_cluster_removal()
    with before_the_result(output):
        _print_removal(removal)
    agree("Remove it all?", yes=yes, otherwise="nothing was removed: nobody can be asked")
    with progress:
        kept = client.remove_cluster()
    if output == "json":
        print_json({"name": removal.name, "buckets": kept.buckets, "log_groups": kept.log_groups})
        return
    click.echo(f"removed the cluster {removal.name}")
    for bucket in kept.buckets:
        click.echo(f"kept the bucket {bucket} (projects; remove it with: aws s3 rb --force s3://{bucket})")
    for group in kept.log_groups:
        click.echo(f"kept the log group {group} (remove it with: aws logs delete-log-group --log-group-name {group})")


def _print_removal(removal: Removal) -> None:
    click.echo(f"the cluster {removal.name} would be removed, and with it:")
    click.echo(f"  traffic splitters: {', '.join(removal.splitters) or 'none'}")
    click.echo(f"  APIs and their logs: {', '.join(removal.apis) or 'none'}")
    click.echo("  instances, images and the dashboard")
    for bucket in removal.buckets:
        click.echo(f"the bucket {bucket} would stay")
