"""Answers the actions of Application Auto Scaling that moto lacks or answers wrongly."""

from __future__ import annotations

import json

import moto.applicationautoscaling.urls
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse

from cortex_cdk.localcloud.services.application_autoscaling.models import ScalableTarget


class LocalAutoScalingResponse(ApplicationAutoScalingResponse):
    """moto's actions, with DescribeScalingActivities and with policies by name."""

    def describe_scaling_policies(self) -> str:
        """Answer DescribeScalingPolicies. moto would ignore the names in the request."""
        answer, wanted = str(super().describe_scaling_policies()), self._get_param("PolicyNames")
        if not wanted:
            return answer
        page = json.loads(answer)
        page["ScalingPolicies"] = [policy for policy in page["ScalingPolicies"] if policy["PolicyName"] in wanted]
        return json.dumps(page)

    def describe_scaling_activities(self) -> str:
        """Answer DescribeScalingActivities, the newest first. Activities go with their target."""
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
        start = int(self._get_param("NextToken") or 0)
        end = start + int(self._get_param("MaxResults") or 50)
        more = {"NextToken": str(end)} if end < len(found) else {}
        return json.dumps({"ScalingActivities": found[start:end], **more})


def install() -> None:
    """Make moto answer with this class. Call this before the first request. More calls change nothing."""
    moto.applicationautoscaling.urls.url_paths["{0}/$"] = LocalAutoScalingResponse.dispatch
