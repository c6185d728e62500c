"""The scalable targets of ECS services: the numbers of replicas between which Application Auto Scaling scales them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cortex_cdk.aws.cloud import Cloud

NAMESPACE: Literal["ecs"] = "ecs"
DIMENSION: Literal["ecs:service:DesiredCount"] = "ecs:service:DesiredCount"
TARGETS_A_CALL = 50
"""How many targets DescribeScalableTargets takes."""


@dataclass(frozen=True)
class Bounds:
    """The numbers of replicas between which an API is scaled."""

    least: int
    most: int


def resource_id(ecs_cluster: str, service: str) -> str:
    """What Application Auto Scaling calls an ECS service."""
    return f"service/{ecs_cluster}/{service}"


def read_bounds(cloud: Cloud, ecs_cluster: str, services: Iterable[str]) -> dict[str, Bounds]:
    """Read the bounds of ECS services, fifty with a call.

    Args:
        cloud: Where the services are.
        ecs_cluster: The name of their ECS cluster.
        services: Their names.

    Returns:
        Bounds by service; a service that is not scaled is left out.
    """
    service_of = {resource_id(ecs_cluster, service): service for service in services}
    identifiers, found = list(service_of), {}
    for start in range(0, len(identifiers), TARGETS_A_CALL):
        answer = cloud.application_autoscaling.describe_scalable_targets(
            ServiceNamespace=NAMESPACE,
            ResourceIds=identifiers[start : start + TARGETS_A_CALL],
            ScalableDimension=DIMENSION,
        )
        for target in answer["ScalableTargets"]:
            found[service_of[target["ResourceId"]]] = Bounds(target["MinCapacity"], target["MaxCapacity"])
    return found


def set_bounds(cloud: Cloud, ecs_cluster: str, service: str, bounds: Bounds) -> None:
    """Scale an ECS service between other bounds from now on.

    Args:
        cloud: Where the service is.
        ecs_cluster: The name of its ECS cluster.
        service: Its name.
        bounds: The bounds.
    """
    cloud.application_autoscaling.register_scalable_target(
        ServiceNamespace=NAMESPACE,
        ResourceId=resource_id(ecs_cluster, service),
        ScalableDimension=DIMENSION,
        MinCapacity=bounds.least,
        MaxCapacity=bounds.most,
    )
