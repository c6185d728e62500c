"""Looks whether the instances of a cluster have joined it, and count for their capacity provider.

ECS places replicas only on instances that carry the name of their capacity provider. An instance that was launched
before its group had ECS's tag registers without it, runs, costs money, and gets no replica ("Auto Scaling group
capacity providers", ECS developer guide). One that reaches no ECS (no route, no endpoints) does not register at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message
from cortex_cdk.aws.polling import pauses
from cortex_cdk.clusters.instances import groups_of_providers
from cortex_cdk.stack_operations.progress import Progress

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerInstanceTypeDef

JOINS_WITHIN_S = 240.0
"""An instance boots, starts the ECS agent and registers within one or two minutes."""
INSTANCES_A_CALL = 100
"""Of DescribeContainerInstances."""
SUBJECT = "instances"


@dataclass(frozen=True)
class Members:
    """The instances of a cluster's groups.

    Attributes:
        absent: Ids of the instances in service that have not joined the ECS cluster.
        nameless: Those that have joined it without the name of a capacity provider.
    """

    absent: tuple[str, ...]
    nameless: tuple[ContainerInstanceTypeDef, ...]


def check_members(cloud: Cloud, cluster: str, progress: Progress) -> None:
    """Wait until the instances of a cluster have joined it, and replace those on which ECS would place nothing.

    An instance without the provider's name that has tasks stays: whose they are is not known here.

    Args:
        cloud: A session of the environment.
        cluster: The cluster's name.
        progress: Hears of the instances that do not count.
    """
    from botocore.exceptions import ClientError

    try:
        members = _joined(cloud, cluster)
        for line in _told(cloud, members):
            progress.step(SUBJECT, line)
    except ClientError as error:
        # The cluster is there. Who made it need not be allowed to look at instances.
        progress.step(SUBJECT, f"warning: whether they take replicas is not known: {error_message(error)}")


def _joined(cloud: Cloud, cluster: str) -> Members:
    """Read the instances again and again until all have joined, or too long has passed."""
    deadline = time.monotonic() + JOINS_WITHIN_S
    for pause in pauses():
        members = _read(cloud, cluster)
        if not members.absent or time.monotonic() > deadline:
            return members
        time.sleep(pause)
    raise AssertionError("pauses never end")


def _read(cloud: Cloud, cluster: str) -> Members:
    ecs = names.ecs_cluster(cluster)
    described = cloud.ecs.describe_clusters(clusters=[ecs])["clusters"]
    providers = described[0].get("capacityProviders", []) if described else []
    groups = list(groups_of_providers(cloud, providers).values())
    if not groups:
        return Members((), ())
    in_service = {
        instance["InstanceId"]
        for group in cloud.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=groups)["AutoScalingGroups"]
        for instance in group["Instances"]
        if instance["LifecycleState"] == "InService"
    }
    joined = list(_container_instances(cloud, ecs))
    known = {instance["ec2InstanceId"] for instance in joined}
    nameless = (one for one in joined if not one.get("capacityProviderName") and one["ec2InstanceId"] in in_service)
    return Members(tuple(sorted(in_service - known)), tuple(nameless))


def _container_instances(cloud: Cloud, ecs_cluster: str) -> Iterator[ContainerInstanceTypeDef]:
    pages = cloud.ecs.get_paginator("list_container_instances").paginate(cluster=ecs_cluster)
    arns = [arn for page in pages for arn in page["containerInstanceArns"]]
    for start in range(0, len(arns), INSTANCES_A_CALL):
        batch = arns[start : start + INSTANCES_A_CALL]
        yield from cloud.ecs.describe_container_instances(cluster=ecs_cluster, containerInstances=batch)[
            "containerInstances"
        ]


def _told(cloud: Cloud, members: Members) -> Iterator[str]:
    """Replace what can be replaced, and say of every other instance what is the matter with it."""
    if members.absent:
        yield (
            f"warning: {_listed(members.absent)} did not join the ECS cluster, so no replica runs there: usually its "
            "subnet has no way to ECS, ECR and S3 (public addresses, a NAT gateway or VPC endpoints)"
        )
    for instance in members.nameless:
        name = instance["ec2InstanceId"]
        lacks = f"{name} does not carry the name of its capacity provider, so ECS places no replica there"
        if instance.get("runningTasksCount") or instance.get("pendingTasksCount"):
            yield (
                f"warning: {lacks}; it runs tasks of somebody: end them, and run cortex cluster up again to have it "
                "replaced"
            )
            continue
        cloud.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=name, ShouldDecrementDesiredCapacity=False
        )
        yield f"{lacks}: it is replaced"


def _listed(ids: Sequence[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{len(ids)} instances ({', '.join(ids)})"
