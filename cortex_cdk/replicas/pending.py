"""Why replicas wait for an instance, and what becomes of them.

The reason is in the events of the ECS service. Whether an instance is on its way, or the group already has as many as
it may have, is known to the Auto Scaling group behind the service's capacity provider.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.launch_failures import LaunchFailure, last_launch_failure

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceEventTypeDef, ServiceTypeDef

UNPLACED = "unable to place a task"
PLACED = ("has started", "has reached a steady state")
# In full: "(service x) was unable to place a task because ... requirements. WHY For more information, see ..."
WHY = "met all of its requirements. "
CAUSE = "Reason: "
MORE = " For more information"


@dataclass(frozen=True)
class PlacementRefusal:
    """Why no instance takes a replica.

    Attributes:
        reason: What ECS says, without the words that it always says.
        since: When ECS said so first.
    """

    reason: str
    since: datetime


@dataclass(frozen=True)
class GroupSize:
    """How many instances a group has.

    Attributes:
        name: The instance group.
        running: Instances in service.
        desired: Instances that ECS wants.
        maximum: Instances that the group may have.
        launch_failure: Why EC2 launches none of those that ECS wants; None where it does, or has only begun to.
    """

    name: str
    running: int
    desired: int
    maximum: int
    launch_failure: LaunchFailure | None = None

    def outlook(self) -> str:
        """Say what becomes of a replica that waits for an instance of the group, and what can be done."""
        of = f"of at most {self.maximum}"
        if self.launch_failure:
            return (
                f"instance group {self.name} cannot start an instance ({self.running} {of} run): {self.launch_failure}"
            )
        if self.running < self.desired:
            starting = _instances(self.desired - self.running)
            return f"instance group {self.name} starts {starting} ({self.running} {of} run)"
        if self.running >= self.maximum:
            return (
                f"instance group {self.name} has {_instances(self.running)}, its maximum: raise max_instances "
                "(cortex cluster configure), or ask for less compute or fewer replicas"
            )
        return f"instance group {self.name} has {_instances(self.running)} {of}"


def placement_refusal(events: Sequence[ServiceEventTypeDef]) -> PlacementRefusal | None:
    """Find in the events of a service why a replica has no place now.

    Args:
        events: A service's, in any order.

    Returns:
        None where the last replicas that were wanted have a place.
    """
    found = []
    for event in sorted(events, key=lambda event: event["createdAt"], reverse=True):
        if UNPLACED in event["message"]:
            found.append(event)
        elif any(words in event["message"] for words in PLACED):
            break
    return PlacementRefusal(_reason(found[0]["message"]), found[-1]["createdAt"]) if found else None


def group_sizes(cloud: Cloud, cluster: str, service: ServiceTypeDef, since: datetime) -> list[GroupSize]:
    """Read the sizes of the instance groups that a service's replicas run on.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster (not the ECS cluster's name).
        service: As ECS describes it.
        since: Since when its replicas wait: launches that failed before are of another need.

    Returns:
        Empty where the user may not ask.
    """
    from botocore.exceptions import ClientError

    try:
        return _group_sizes(cloud, cluster, service, since)
    except ClientError:
        # Who may deploy need not be allowed to look at groups; why a replica waits is said all the same.
        return []


def _group_sizes(cloud: Cloud, cluster: str, service: ServiceTypeDef, since: datetime) -> list[GroupSize]:
    providers = [item["capacityProvider"] for item in service.get("capacityProviderStrategy", [])]
    if not providers:
        return []
    described = cloud.ecs.describe_capacity_providers(capacityProviders=providers)["capacityProviders"]
    group_of = {
        # An ARN ends with the group's name.
        provider["autoScalingGroupProvider"]["autoScalingGroupArn"].rpartition("/")[2]: provider["name"]
        for provider in described
        if "autoScalingGroupProvider" in provider
    }
    answer = cloud.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=list(group_of))
    sizes = []
    for group in answer["AutoScalingGroups"]:
        name, desired = group["AutoScalingGroupName"], group["DesiredCapacity"]
        is_short = len(group["Instances"]) < desired
        size = GroupSize(
            name=names.instance_group(cluster, group_of[name]),
            running=sum(instance["LifecycleState"] == "InService" for instance in group["Instances"]),
            desired=desired,
            maximum=group["MaxSize"],
            launch_failure=last_launch_failure(cloud, name, since) if is_short else None,
        )
        sizes.append(size)
    return sizes


def with_outlook(reason: str, sizes: Sequence[GroupSize]) -> str:
    """Say in one line why a replica waits, and what becomes of it."""
    return "; ".join([reason.rstrip("."), *(size.outlook() for size in sizes)]) if sizes else reason


def _reason(message: str) -> str:
    why = message.partition(WHY)[2].partition(MORE)[0]
    return why.removeprefix(CAUSE) or message


def _instances(count: int) -> str:
    return f"{count} instance" if count == 1 else f"{count} instances"
