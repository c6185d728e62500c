"""A name stands for one thing: an API stays an API, a splitter a splitter, and a stack belongs to one cluster."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk import names
from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding


def check_names(deployment: Deployment) -> Iterator[Finding]:
    """Look whether a name of the configuration is that of something else."""
    cluster = deployment.cluster.name
    others = [(api, names.splitter_stack(cluster, api.name), "a traffic splitter") for api in deployment.apis]
    others += [(one, names.api_stack(cluster, one.name), "an API") for one in deployment.splitters]
    for target, stack_name, kind in others:
        stack = deployment.stacks.get(stack_name)
        if stack and stack.belongs_to(cluster):
            yield Finding(
                target.name,
                f"{kind} of this cluster has that name",
                f"choose another name, or delete it first: cortex delete {target.name}",
            )
    for target in deployment.targets:
        if target.stack and not target.stack.belongs_to(cluster):
            owner = target.stack.tags.get(names.TAG_CLUSTER)
            yield Finding(
                target.name, f"its stack would be {target.stack_name}, which cluster {owner} has", "choose another name"
            )
