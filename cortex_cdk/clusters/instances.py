"""Ends the instances of instance groups before CloudFormation deletes the groups.

CloudFormation waits for a group's instances to end, and gives up before some have (reference ``aws.md`` 1.3). An
instance that is protected from scale-in does not end at all, and ECS takes the protection away from idle instances only
when it scales in itself (containers-roadmap issue 2862).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.polling import pauses

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef

# Shutting an instance down takes a minute or two; a stack can be deleted without this, so it ends.
PATIENCE_S = 900
MOST_INSTANCES_A_CALL = 50
"""Of SetInstanceProtection."""
GROUP_TYPE = "AWS::AutoScaling::AutoScalingGroup"


@dataclass(frozen=True)
class GroupSize:
    """The size of an Auto Scaling group.

    Attributes:
        name: The group's name.
        minimum: Fewest instances.
        maximum: Most instances.
        desired: How many there are to be.
    """

    name: str
    minimum: int
    maximum: int
    desired: int


def stacked_groups(cloud: Cloud, stack_id: str) -> dict[str, str]:
    """Return the logical ids of the Auto Scaling groups of a stack, by the names of the groups.

    Args:
        cloud: Where the stack is.
        stack_id: The stack's name or id.
    """
    pages = cloud.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return {
        resource["PhysicalResourceId"]: resource["LogicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == GROUP_TYPE and resource.get("PhysicalResourceId")
    }


def groups_of_providers(cloud: Cloud, providers: Sequence[str]) -> dict[str, str]:
    """Return the name of the Auto Scaling group of each capacity provider that exists.

    Args:
        cloud: Where the capacity providers are.
        providers: Their names.
    """
    if not providers:
        return {}
    described = cloud.ecs.describe_capacity_providers(capacityProviders=list(providers))["capacityProviders"]
    # An ARN ends with the group's name; some emulators give the name alone.
    return {
        provider["name"]: provider["autoScalingGroupProvider"]["autoScalingGroupArn"].rpartition("/")[-1]
        for provider in described
    }


def unprotect(cloud: Cloud, groups: Iterable[str]) -> None:
    """Let the instances of Auto Scaling groups end, the present ones and later ones.

    Args:
        cloud: Where the groups are.
        groups: Their names; one that is gone counts as done.
    """
    for group in _read(cloud, groups):
        name = group["AutoScalingGroupName"]
        cloud.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, NewInstancesProtectedFromScaleIn=False)
        protected = [one["InstanceId"] for one in group["Instances"] if one.get("ProtectedFromScaleIn")]
        for start in range(0, len(protected), MOST_INSTANCES_A_CALL):
            cloud.autoscaling.set_instance_protection(
                AutoScalingGroupName=name,
                InstanceIds=protected[start : start + MOST_INSTANCES_A_CALL],
                ProtectedFromScaleIn=False,
            )


def end_instances(cloud: Cloud, groups: Sequence[str]) -> tuple[GroupSize, ...]:
    """End all instances of Auto Scaling groups, and wait until they are gone, for ``PATIENCE_S`` at most.

    Args:
        cloud: Where the groups are.
        groups: Their names.

    Returns:
        The sizes that the groups had, for ``restore``.
    """
    unprotect(cloud, groups)
    sizes = tuple(
        GroupSize(group["AutoScalingGroupName"], group["MinSize"], group["MaxSize"], group["DesiredCapacity"])
        for group in _read(cloud, groups)
    )
    for size in sizes:
        cloud.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=size.name, MinSize=0, MaxSize=0, DesiredCapacity=0
        )
    deadline = time.monotonic() + PATIENCE_S
    for pause in pauses():
        if time.monotonic() > deadline or not any(group["Instances"] for group in _read(cloud, groups)):
            break
        time.sleep(pause)
    return sizes


def restore(cloud: Cloud, sizes: Iterable[GroupSize]) -> None:
    """Let Auto Scaling groups have instances again, which are protected from scale-in."""
    for size in sizes:
        cloud.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=size.name,
            MinSize=size.minimum,
            MaxSize=size.maximum,
            DesiredCapacity=size.desired,
            NewInstancesProtectedFromScaleIn=True,
        )


def _read(cloud: Cloud, groups: Iterable[str]) -> Iterator[AutoScalingGroupTypeDef]:
    wanted = list(groups)
    if wanted:
        yield from cloud.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=wanted)["AutoScalingGroups"]
