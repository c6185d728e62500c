"""The members of a traffic splitter are APIs: deployed already, or in the same file."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk import names
from cortex_cdk.config import TrafficSplitter
from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding


def check_members(deployment: Deployment) -> Iterator[Finding]:
    """Look whether there is an API for every member of every splitter."""
    there = deployment.target_groups().keys()
    coming = {api.name for api in deployment.apis} - there
    for splitter in deployment.wanted.config.splitters:
        members = [one.name for one in splitter.apis]
        yield from _missing(deployment, splitter, [name for name in members if name not in there | coming])
        late = [name for name in members if name in coming]
        if late and not deployment.wanted.waits:
            yield Finding(
                splitter.name,
                f"{', '.join(late)} must answer before a traffic splitter can send requests there, "
                "and --no-wait does not wait for that",
                "deploy without --no-wait, or deploy the APIs first, by a file of their own",
            )


def _missing(deployment: Deployment, splitter: TrafficSplitter, missing: list[str]) -> Iterator[Finding]:
    cluster = deployment.cluster.name
    splitters = [name for name in missing if names.splitter_stack(cluster, name) in deployment.stacks]
    for name in splitters:
        yield Finding(splitter.name, f"{name} is a traffic splitter", "name the APIs that shall answer as members")
    absent = [name for name in missing if name not in splitters]
    if absent:
        yield Finding(
            splitter.name,
            f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not deployed",
            "deploy the member APIs first, or put them into the same file",
        )
