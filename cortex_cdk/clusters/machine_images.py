"""Reads which machine images the instances of a cluster run, and whether AWS has published newer ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.capacity.instance_start import image_parameter
from cortex_cdk.clusters.instances import groups_of_providers
from cortex_cdk.config import Cluster
from cortex_cdk.stack_operations.stack import StackState

MOST_PARAMETERS_A_CALL = 10
"""Of GetParameters."""


@dataclass(frozen=True)
class GroupImages:
    """The machine images (AMIs) of an instance group.

    Attributes:
        group: The instance group.
        scaling_group: The name of its Auto Scaling group.
        newest: The image that AWS recommends now; None where that may not be asked.
        configured: The image that new instances start from; None where the stack does not tell.
        running: The image of each instance, by the instance's id. Empty where that may not be asked.
    """

    group: str
    scaling_group: str
    newest: str | None
    configured: str | None
    running: Mapping[str, str]

    @property
    def outdated(self) -> tuple[str, ...]:
        """The ids of the instances that run another image than the newest."""
        return tuple(sorted(one for one, image in self.running.items() if self.newest and image != self.newest))

    @property
    def has_newer(self) -> bool:
        """Whether there is a newer image than the one that some instances run, or that new ones start from."""
        stale = self.newest is not None and self.configured is not None and self.configured != self.newest
        return stale or bool(self.outdated)

    def in_words(self) -> str:
        """Say that there is a newer image."""
        whose = f"{len(self.outdated)} of {len(self.running)} instances run an older one"
        return f"instance group {self.group}: a newer machine image is there ({self.newest}); {whose}"

    def as_json(self) -> dict[str, Any]:
        """The object ``machine_image`` of a group in ``cortex cluster info -o json``."""
        return {
            "newest": self.newest,
            "configured": self.configured,
            "running": dict(Counter(self.running.values())),
            "outdated": len(self.outdated),
        }


def read_machine_images(cloud: Cloud, cluster: Cluster, stack: StackState) -> tuple[GroupImages, ...]:
    """Read the images of all instance groups. Whoever may not ask for some learns less: nothing is raised for that.

    Args:
        cloud: A session of the environment.
        cluster: The cluster's configuration.
        stack: The cluster's stack.
    """
    parameters = {group.name: image_parameter(group.accelerator) for group in cluster.instance_groups}
    newest = _newest(cloud, sorted(set(parameters.values())))
    scaling_groups = _scaling_groups(cloud, cluster)
    running = _running(cloud, list(scaling_groups.values()))
    return tuple(
        GroupImages(
            name,
            scaling_groups[name],
            newest.get(parameter),
            stack.resolved.get(parameter),
            running.get(scaling_groups[name], {}),
        )
        for name, parameter in parameters.items()
        if name in scaling_groups
    )


def _scaling_groups(cloud: Cloud, cluster: Cluster) -> dict[str, str]:
    """The Auto Scaling group of each instance group that has one."""
    provider_of = {group.name: names.capacity_provider(cluster.name, group.name) for group in cluster.instance_groups}
    found = groups_of_providers(cloud, list(provider_of.values()))
    return {name: found[provider] for name, provider in provider_of.items() if provider in found}


def _newest(cloud: Cloud, parameters: Sequence[str]) -> dict[str, str]:
    from botocore.exceptions import ClientError

    found = {}
    for start in range(0, len(parameters), MOST_PARAMETERS_A_CALL):
        try:
            answer = cloud.ssm.get_parameters(Names=parameters[start : start + MOST_PARAMETERS_A_CALL])
        except ClientError:
            return {}
        found.update({one["Name"]: one["Value"] for one in answer["Parameters"]})
    return found


def _running(cloud: Cloud, groups: Sequence[str]) -> dict[str, dict[str, str]]:
    """The image of each instance, by Auto Scaling group."""
    from botocore.exceptions import ClientError

    members = {one: group for group, instances in instances_of(cloud, groups).items() for one in instances}
    found: dict[str, dict[str, str]] = {}
    try:
        for instance, image in _images(cloud, list(members)):
            found.setdefault(members[instance], {})[instance] = image
    except ClientError:
        return {}
    return found


def instances_of(cloud: Cloud, groups: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read which instances Auto Scaling groups have, those included that start or go.

    Args:
        cloud: A session of the environment.
        groups: The names of the Auto Scaling groups.
    """
    if not groups:
        return {}
    pages = cloud.autoscaling.get_paginator("describe_auto_scaling_groups").paginate(AutoScalingGroupNames=list(groups))
    return {
        group["AutoScalingGroupName"]: tuple(one["InstanceId"] for one in group["Instances"])
        for page in pages
        for group in page["AutoScalingGroups"]
    }


def _images(cloud: Cloud, instances: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not instances:
        return
    # A filter, because an id that is gone since would be an error.
    pages = cloud.ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "instance-id", "Values": list(instances)}]
    )
    for page in pages:
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                yield instance["InstanceId"], instance["ImageId"]
