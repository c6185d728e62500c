"""The Application Auto Scaling action that moto lacks."""

from __future__ import annotations

import json

import moto.applicationautoscaling.urls
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse

from cortex_cdk.localcloud.autoscaling.models import ScalableTarget


class LocalAutoScalingResponse(ApplicationAutoScalingResponse):
    """moto's actions with DescribeScalingActivities."""

    def describe_scaling_activities(self) -> str:
        """Answer DescribeScalingActivities, newest first; activities of targets that are gone are gone too."""
        wanted = {
            "ResourceId": self._get_param("ResourceId"),
            "ScalableDimension": self._get_param("ScalableDimension"),
        }
        targets = self.applicationautoscaling_backend.describe_scalable_targets(
            self._get_param("ServiceNamespace"), None, None
        )
        activities = [
            activity for target in targets if isinstance(target, ScalableTarget) for activity in target.activities
        ]
        found = [
            activity
            for activity in activities
            if all(value in {None, activity[name]} for name, value in wanted.items())
        ]
        found.sort(key=lambda activity: float(activity["StartTime"]), reverse=True)
        return json.dumps({"ScalingActivities": found[: int(self._get_param("MaxResults") or 50)]})


def install() -> None:
    """Make moto answer with this class. To be called before the first request; more calls change nothing."""
    moto.applicationautoscaling.urls.url_paths["{0}/$"] = LocalAutoScalingResponse.dispatch
