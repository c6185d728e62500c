"""What the autoscaler has done to an API lately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.scalable_targets import NAMESPACE, resource_id
from cortex_cdk.status.read_status import ApiStatus

MOST_SHOWN = 5


@dataclass(frozen=True)
class ScalingActivity:
    """One thing that the autoscaler did.

    Attributes:
        time: When.
        status: Such as ``Successful``.
        description: Such as ``Setting desired count to 3.``
        cause: The alarm that made it do so.
    """

    time: datetime
    status: str
    description: str
    cause: str

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints of it."""
        return {
            "time": self.time.isoformat(),
            "status": self.status,
            "description": self.description,
            "cause": self.cause,
        }


def read_scaling_activities(cloud: Cloud, cluster: str, api: ApiStatus) -> tuple[ScalingActivity, ...]:
    """Read the newest activities since the API was created, the newest first.

    Args:
        cloud: A session of the environment.
        cluster: The cluster's name.
        api: The API.
    """
    answer = cloud.application_autoscaling.describe_scaling_activities(
        ServiceNamespace=NAMESPACE,
        ResourceId=resource_id(names.ecs_cluster(cluster), names.service(api.name)),
        MaxResults=MOST_SHOWN,
    )
    return tuple(
        ScalingActivity(
            time=activity["StartTime"],
            status=activity["StatusCode"],
            description=activity["Description"],
            cause=activity["Cause"],
        )
        for activity in answer["ScalingActivities"][:MOST_SHOWN]
        if activity["StartTime"] >= api.created
    )
