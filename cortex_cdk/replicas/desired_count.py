"""Lowers how many replicas an API asks for, and puts the number back.

CloudFormation waits until ECS runs as many replicas as are desired, also while it rolls back, and gives up after three
hours. A service that desires no more replicas than it runs is stable at once (copilot-cli issue 1180 advises a count of
0; that a cancelled update waits for its old replicas, too: containers-roadmap issue 328).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.scalable_targets import Bounds, read_bounds, set_bounds

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef


@dataclass(frozen=True)
class DesiredCount:
    """How many replicas a service is to run.

    Attributes:
        cluster: The ECS cluster.
        service: The service's name.
        count: The desired count.
        bounds: Those of Application Auto Scaling; None where the service is not scaled.
    """

    cluster: str
    service: str
    count: int
    bounds: Bounds | None

    def lower(self, cloud: Cloud, count: int) -> None:
        """Ask for that many replicas from now on. A minimum above that would bring the others back.

        Args:
            cloud: Where the service is.
            count: At most ``self.count``; 0 stops every replica.
        """
        if self.bounds and count < self.bounds.least:
            set_bounds(cloud, self.cluster, self.service, Bounds(count, self.bounds.most))
        cloud.ecs.update_service(cluster=self.cluster, service=self.service, desiredCount=count)

    def restore(self, cloud: Cloud) -> None:
        """Ask for as many replicas as before ``lower``."""
        if self.bounds:
            set_bounds(cloud, self.cluster, self.service, self.bounds)
        cloud.ecs.update_service(cluster=self.cluster, service=self.service, desiredCount=self.count)


def read_desired_count(cloud: Cloud, service: ServiceTypeDef) -> DesiredCount:
    """Read how many replicas a service is to run.

    Args:
        cloud: Where the service is.
        service: As ECS describes it.
    """
    cluster, name = service["clusterArn"].rpartition("/")[2], service["serviceName"]
    bounds = read_bounds(cloud, cluster, [name]).get(name)
    return DesiredCount(cluster, name, service["desiredCount"], bounds)
