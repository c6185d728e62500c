"""Deletes APIs and traffic splitters."""

from __future__ import annotations

from cortex_serving.contract import TRAFFIC_SPLITTER

from cortex_cdk import log_groups, names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.deploy.listener_rules import read_rules
from cortex_cdk.errors import DeployError, NotDeployedError
from cortex_cdk.history.store import RecordStore
from cortex_cdk.stack_operations import recovery
from cortex_cdk.stack_operations.stack import StackState, list_resource_stacks, not_deployed, read_stack


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
    raise not_deployed(cloud, cluster.name, name)


def delete(cloud: Cloud, cluster: RunningCluster, name: str) -> None:
    """Delete an API or splitter, the records and the history of an API, and wait until they are gone.

    An operation that runs on the stack is given up.

    Args:
        cloud: A session of the environment.
        cluster: The cluster.
        name: The API's or splitter's name.

    Raises:
        NotDeployedError: There is none of that name.
        DeployError: A splitter forwards to the API, or the stack cannot be deleted.
    """
    try:
        stack = find(cloud, cluster, name)
    except NotDeployedError:
        # What a first deployment left that failed.
        forgotten = RecordStore(cloud, cluster.resources.bucket, name).remove()
        if log_groups.remove(cloud, cluster.name, name) or forgotten:
            return
        raise
    users = _splitters_of(cloud, cluster, stack)
    if users:
        raise DeployError(
            f"{name} is used by the traffic splitter {', '.join(users)}",
            hint=f"delete the splitter first (cortex delete {users[0]}), or deploy it without {name}",
        )
    deletable = recovery.make_deletable(cloud, stack)
    if deletable:
        recovery.remove(cloud, deletable, cluster.resources.cloudformation_role)
    log_groups.remove(cloud, cluster.name, name)
    RecordStore(cloud, cluster.resources.bucket, name).remove()


def _splitters_of(cloud: Cloud, cluster: RunningCluster, stack: StackState) -> list[str]:
    """The splitters that forward to the target group of an API's stack."""
    group = stack.outputs.get(names.Output.TARGET_GROUP_ARN)
    if group is None:
        return []
    using = {
        str(rule.priority) for rule in read_rules(cloud, cluster.resources.listener_arn) if group in rule.target_groups
    }
    return [
        resource.name
        for resource, other in list_resource_stacks(cloud, cluster.name)
        if resource.kind == TRAFFIC_SPLITTER and other.outputs.get(names.Output.LISTENER_RULE_PRIORITY) in using
    ]


def why_not_deployed(cloud: Cloud, cluster: RunningCluster, name: str) -> str | None:
    """Say why an API is not deployed whose records are still there, as after a first deployment that failed.

    Returns:
        None where it is deployed, or nothing is left of it.
    """
    try:
        find(cloud, cluster, name)
    except NotDeployedError as error:
        if not log_groups.is_kept(cloud, cluster.name, name):
            return None
        noted = log_groups.noted_failure(cloud, cluster.name, name)
        return f"{error.message}: {noted.reason if noted else 'these are the last records of what ran before'}"
    return None
