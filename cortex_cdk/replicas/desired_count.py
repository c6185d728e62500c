"""Lowers how many replicas an API asks for, and puts the number back.

CloudFormation waits until ECS runs as many replicas as are desired, also while it rolls back, and gives up after three
hours. A service that desires no more replicas than it runs is stable at once (copilot-cli issue 1180 advises a count of
0; that a cancelled update waits for its old replicas, too: containers-roadmap issue 328).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cortex_cdk.aws.cloud import Cloud

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling.type_defs import ScalableTargetTypeDef
    from mypy_boto3_ecs.type_defs import ServiceTypeDef

_NAMESPACE: Literal["ecs"] = "ecs"
_DIMENSION: Literal["ecs:service:DesiredCount"] = "ecs:service:DesiredCount"


@dataclass(frozen=True)
class DesiredCount:
    """How many replicas a service is to run.

    Attributes:
        cluster: The ECS cluster.
        service: The service's name.
        count: The desired count.
        bounds: The least and the largest count of Application Auto Scaling; None where the service is not scaled.
    """

    cluster: str
    service: str
    count: int
    bounds: tuple[int, int] | None

    def lower(self, cloud: Cloud, count: int) -> None:
        """Ask for that many replicas from now on. A minimum above that would bring the others back.

        Args:
            cloud: Where the service is.
            count: At most ``self.count``; 0 stops every replica.
        """
        if self.bounds and count < self.bounds[0]:
            _register(cloud, self, (count, self.bounds[1]))
        cloud.ecs.update_service(cluster=self.cluster, service=self.service, desiredCount=count)

    def restore(self, cloud: Cloud) -> None:
        """Ask for as many replicas as before ``lower``."""
        if self.bounds:
            _register(cloud, self, self.bounds)
        cloud.ecs.update_service(cluster=self.cluster, service=self.service, desiredCount=self.count)


def read_desired_count(cloud: Cloud, service: ServiceTypeDef) -> DesiredCount:
    """Read how many replicas a service is to run.

    Args:
        cloud: Where the service is.
        service: As ECS describes it.
    """
    cluster, name = service["clusterArn"].rpartition("/")[2], service["serviceName"]
    found: list[ScalableTargetTypeDef] = cloud.application_autoscaling.describe_scalable_targets(
        ServiceNamespace=_NAMESPACE, ResourceIds=[_resource(cluster, name)], ScalableDimension=_DIMENSION
    )["ScalableTargets"]
    bounds = (found[0]["MinCapacity"], found[0]["MaxCapacity"]) if found else None
    return DesiredCount(cluster, name, service["desiredCount"], bounds)


def _register(cloud: Cloud, desired: DesiredCount, bounds: tuple[int, int]) -> None:
    cloud.application_autoscaling.register_scalable_target(
        ServiceNamespace=_NAMESPACE,
        ResourceId=_resource(desired.cluster, desired.service),
        ScalableDimension=_DIMENSION,
        MinCapacity=bounds[0],
        MaxCapacity=bounds[1],
    )


def _resource(cluster: str, service: str) -> str:
    return f"service/{cluster}/{service}"
