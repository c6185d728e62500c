"""Reads what a cluster is and what runs on it, for ``cortex cluster info``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.console_links import links
from cortex_cdk.aws.launch_failures import LaunchFailure, last_launch_failure
from cortex_cdk.capacity.pricing import Estimate, estimate
from cortex_cdk.clusters.change import missing, read_configuration
from cortex_cdk.clusters.instances import groups_of_providers
from cortex_cdk.clusters.machine_images import GroupImages, read_machine_images
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import Cluster, InstanceGroup
from cortex_cdk.environment import Environment
from cortex_cdk.stack_operations.stack import StackState, read_stack
from cortex_cdk.status.read_status import ApiStatus, list_apis

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef

LAUNCHES_REPEATED_WITHIN = timedelta(minutes=30)
"""A group that lacks instances tries again and again, with pauses that grow to some minutes: what failed longer ago was
of another need."""


@dataclass(frozen=True)
class GroupState:
    """An instance group as it is now.

    Attributes:
        group: Its configuration.
        capacity_provider: The name of its ECS capacity provider.
        running: How many instances are in service.
        desired: How many ECS wants.
        launch_failure: Why EC2 launches none of those that are missing; None where none is, or they are on their way.
        images: Their machine images; None where they cannot be read.
    """

    group: InstanceGroup
    capacity_provider: str
    running: int
    desired: int
    launch_failure: LaunchFailure | None = None
    images: GroupImages | None = None


@dataclass(frozen=True)
class ClusterInfo:
    """A cluster as it is now.

    Attributes:
        running: Its name, endpoint and resources.
        configuration: What it was made from.
        status: The status of its stack.
        groups: Its instance groups.
        cost: What it costs on AWS.
        apis: What is deployed on it.
        dangers: What strangers on the internet can do with it.
        dashboard: Address of its dashboard in the AWS console; None where the cloud is not AWS.
    """

    running: RunningCluster
    configuration: Cluster
    status: str
    groups: tuple[GroupState, ...]
    cost: Estimate
    apis: tuple[ApiStatus, ...]
    dangers: tuple[str, ...]
    dashboard: str | None

    def __repr__(self) -> str:
        return f"{repr(self.running).removesuffix('>')} ({self.status}): {', '.join(api.name for api in self.apis)}>"

    def as_json(self) -> dict[str, Any]:
        """The object that ``cortex cluster info -o json`` prints."""
        resources = self.running.resources
        return {
            "name": self.running.name,
            "region": self.configuration.region,
            "status": self.status,
            "version": resources.version,
            "endpoint": self.running.url,
            "load_balancer": self.running.address,
            "exposure": list(self.dangers),
            "instance_groups": [
                {
                    "name": state.group.name,
                    "instance_types": list(state.group.instance_types),
                    "accelerator": state.group.accelerator,
                    "spot": state.group.spot is not None,
                    "capacity_provider": state.capacity_provider,
                    "running": state.running,
                    "desired": state.desired,
                    "min": state.group.min_instances,
                    "max": state.group.max_instances,
                    "launch_failure": state.launch_failure.as_json() if state.launch_failure else None,
                    "machine_image": state.images.as_json() if state.images else None,
                }
                for state in self.groups
            ],
            "cost": self.cost.as_json(),
            "apis": [{"name": api.name, "kind": api.kind, "status": api.status} for api in self.apis],
            "dashboard": self.dashboard,
            "configuration": self.configuration.model_dump(mode="json"),
            "resources": resources.model_dump(mode="json", exclude={"cluster", "providers", "version"}),
        }


def cluster_info(cloud: Cloud, environment: Environment, running: RunningCluster) -> ClusterInfo:
    """Read everything about a cluster.

    Args:
        cloud: A session of the environment.
        environment: Whose cluster.
        running: The cluster, as it was read before.

    Raises:
        ClusterError: The cluster does not exist any more, or was made by another version.
    """
    stack = read_stack(cloud, names.cluster_stack(running.name))
    if stack is None:
        raise missing(environment)
    configuration = read_configuration(cloud, stack)
    pages, apis = links(cloud, running.name, None), tuple(list_apis(cloud, running))
    answering = [api.name for api in apis if api.target_group and api.auth is None]
    return ClusterInfo(
        running=running,
        configuration=configuration,
        status=stack.status,
        groups=_groups(cloud, configuration, stack),
        cost=estimate(configuration),
        apis=apis,
        dangers=running.dangers(answering),
        dashboard=pages.dashboard if pages else None,
    )


def _groups(cloud: Cloud, cluster: Cluster, stack: StackState) -> tuple[GroupState, ...]:
    images = {one.group: one for one in read_machine_images(cloud, cluster, stack)}
    provider_of = {group.name: names.capacity_provider(cluster.name, group.name) for group in cluster.instance_groups}
    scaling_group_of = groups_of_providers(cloud, list(provider_of.values()))
    answer = cloud.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=list(scaling_group_of.values()))
    described = {group["AutoScalingGroupName"]: group for group in answer["AutoScalingGroups"]}
    states = []
    for group in cluster.instance_groups:
        provider = provider_of[group.name]
        found = described.get(scaling_group_of.get(provider, ""))
        state = _state(cloud, group, provider, found) if found else GroupState(group, provider, 0, 0)
        states.append(replace(state, images=images.get(group.name)))
    return tuple(states)


def _state(cloud: Cloud, group: InstanceGroup, provider: str, found: AutoScalingGroupTypeDef) -> GroupState:
    desired, is_short = found["DesiredCapacity"], len(found["Instances"]) < found["DesiredCapacity"]
    since = datetime.now(timezone.utc) - LAUNCHES_REPEATED_WITHIN
    return GroupState(
        group,
        provider,
        running=sum(instance["LifecycleState"] == "InService" for instance in found["Instances"]),
        desired=desired,
        launch_failure=last_launch_failure(cloud, found["AutoScalingGroupName"], since) if is_short else None,
    )
