"""Deletes APIs and traffic splitters."""

from __future__ import annotations

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.errors import DeployError, NotDeployedError
from cortex_cdk.stack_operations import recovery
from cortex_cdk.stack_operations.stack import StackState, list_stacks, read_stack


def find(cloud: Cloud, cluster: RunningCluster, name: str) -> StackState:
    """Find the stack of an API or splitter.

    Args:
        cloud: A session of the environment.
        cluster: The cluster.
        name: The API's or splitter's name.

    Raises:
        NotDeployedError: There is none of that name.
    """
    for stack_name in (names.api_stack(cluster.name, name), names.splitter_stack(cluster.name, name)):
        stack = read_stack(cloud, stack_name)
        if stack is not None:
            return stack
    raise NotDeployedError(f"{name} is not deployed", hint="list what is deployed with: cortex get")


def delete(cloud: Cloud, cluster: RunningCluster, name: str) -> None:
    """Delete an API or splitter and wait until its stack is gone. An operation that runs on the stack is given up.

    Args:
        cloud: A session of the environment.
        cluster: The cluster.
        name: The API's or splitter's name.

    Raises:
        NotDeployedError: There is none of that name.
        DeployError: A splitter forwards to the API, or the stack cannot be deleted.
    """
    stack = find(cloud, cluster, name)
    users = _splitters_of(cloud, cluster, stack)
    if users:
        raise DeployError(
            f"{name} is used by the traffic splitter {', '.join(users)}",
            hint=f"delete the splitter first (cortex delete {users[0]}), or deploy it without {name}",
        )
    deletable = recovery.make_deletable(cloud, stack)
    if deletable:
        recovery.remove(cloud, deletable)


def _splitters_of(cloud: Cloud, cluster: RunningCluster, stack: StackState) -> list[str]:
    """The splitters that forward to the target group of an API's stack."""
    group = stack.outputs.get(names.Output.TARGET_GROUP_ARN)
    prefix = names.splitter_stack(cluster.name, "")
    if group is None or stack.name.startswith(prefix):
        return []
    pages = cloud.elbv2.get_paginator("describe_rules").paginate(ListenerArn=cluster.resources.listener_arn)
    using = {
        rule["Priority"]
        for page in pages
        for rule in page["Rules"]
        for action in rule.get("Actions", [])
        for target in action.get("ForwardConfig", {}).get("TargetGroups", [])
        if target.get("TargetGroupArn") == group
    }
    return [
        splitter.name.removeprefix(prefix)
        for splitter in list_stacks(cloud, prefix)
        if splitter.outputs.get(names.Output.LISTENER_RULE_PRIORITY) in using
    ]
