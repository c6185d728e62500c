"""What a traffic splitter's stack is made from: the target groups of APIs that are deployed."""

from __future__ import annotations

from cortex_cdk import names
from cortex_cdk.assembly import SplitterStackSpec
from cortex_cdk.cloud import Cloud
from cortex_cdk.config import TrafficSplitter
from cortex_cdk.deploy.cluster import RunningCluster
from cortex_cdk.deploy.stack import list_stacks
from cortex_cdk.errors import DeployError


def splitter_spec(cloud: Cloud, cluster: RunningCluster, splitter: TrafficSplitter, priority: int) -> SplitterStackSpec:
    """Look up the members of a splitter.

    Raises:
        DeployError: A member is not deployed.
    """
    prefix = names.api_stack(cluster.name, "")
    groups = {
        stack.name.removeprefix(prefix): stack.outputs["TargetGroupArn"]
        for stack in list_stacks(cloud, prefix)
        if "TargetGroupArn" in stack.outputs
    }
    missing = [variant.name for variant in splitter.apis if variant.name not in groups]
    if missing:
        raise DeployError(
            f"{splitter.name}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not deployed",
            hint="deploy the member APIs first, or put them into the same file",
        )
    members = {variant.name: groups[variant.name] for variant in splitter.apis}
    return SplitterStackSpec(cluster=cluster.resources, splitter=splitter, priority=priority, target_groups=members)
