"""What a traffic splitter's stack is made from: the target groups of APIs that are deployed and answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from cortex_serving.contract import REALTIME_API

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.config import TrafficSplitter
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.stack import StackState
from cortex_cdk.synthesis.specs import ClusterResources, SplitterStackSpec


def target_groups(cluster: str, stacks: Iterable[StackState]) -> dict[str, str]:
    """Pick the target groups of APIs from the stacks of a cluster.

    Returns:
        ARNs by the API's name. A first deployment that runs, or that failed, has none yet.
    """
    found = {}
    for stack in stacks:
        resource = names.resource_of(cluster, stack.name)
        if resource and resource.kind == REALTIME_API and names.Output.TARGET_GROUP_ARN in stack.outputs:
            found[resource.name] = stack.outputs[names.Output.TARGET_GROUP_ARN]
    return found


def member_failed(splitter: TrafficSplitter, failed: Collection[str]) -> DeployError | None:
    """Say that a splitter is left as it is because of its members; None where none of them failed.

    Args:
        splitter: The splitter.
        failed: The APIs whose deployment failed just before.
    """
    found = [variant.name for variant in splitter.apis if variant.name in failed]
    if not found:
        return None
    return DeployError(
        f"{splitter.name}: skipped, because the deployment of {' and '.join(found)} failed",
        hint="the traffic splitter stays as it was; correct what failed and deploy again",
    )


def splitter_spec(
    cloud: Cloud, cluster: ClusterResources, splitter: TrafficSplitter, priority: int, groups: Mapping[str, str]
) -> SplitterStackSpec:
    """Specify a splitter's stack.

    Args:
        cloud: Asked whether the members answer.
        cluster: The cluster.
        splitter: The splitter.
        priority: Of its listener rule.
        groups: ARNs of the target groups of the APIs that are deployed, by the API's name.

    Raises:
        DeployError: A member is not deployed, or would get requests that none of its replicas could answer.
    """
    for variant in splitter.apis:
        if variant.name not in groups:
            raise DeployError(
                f"{splitter.name}: {variant.name} is not deployed",
                hint="deploy the member APIs first, or put them into the same file",
            )
        # A weighted rule does not pass over a group without targets: its share of the requests would be lost.
        if variant.weight and not _answers(cloud, groups[variant.name]):
            raise DeployError(
                f"{splitter.name}: no replica of {variant.name} is ready, so its {variant.weight} % of the requests "
                "would fail",
                hint=f"wait until it is live (cortex get {variant.name}), or give it weight 0",
            )
    members = {variant.name: groups[variant.name] for variant in splitter.apis}
    return SplitterStackSpec(cluster=cluster, splitter=splitter, priority=priority, target_groups=members)


def _answers(cloud: Cloud, target_group: str) -> bool:
    targets = cloud.elbv2.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
    return any(target["TargetHealth"]["State"] == "healthy" for target in targets)
