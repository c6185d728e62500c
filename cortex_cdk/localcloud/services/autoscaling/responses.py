"""Answers DescribeScalingActivities, which moto lacks."""

from __future__ import annotations

import moto.autoscaling.urls
from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from cortex_cdk.localcloud.services.autoscaling.groups import groups

MOST_A_PAGE = 100
"""Of DescribeScalingActivities."""


class LocalAutoScalingResponse(AutoScalingResponse):
    """moto's actions, with DescribeScalingActivities."""

    def describe_scaling_activities(self) -> ActionResult:
        """Answer DescribeScalingActivities, the newest first. Activities go with their group."""
        known = {group.name: group for group in groups(self.region)}
        wanted = self._get_param("AutoScalingGroupName")
        if wanted and wanted not in known:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup {wanted} not found")
        found = [activity for group in known.values() if wanted in (None, group.name) for activity in group.activities]
        ids = self._get_param("ActivityIds")
        found = [activity for activity in found if not ids or activity.id in ids]
        found.sort(key=lambda activity: activity.began, reverse=True)
        start = int(self._get_param("NextToken") or 0)
        end = start + int(self._get_param("MaxRecords") or MOST_A_PAGE)
        more = {"NextToken": str(end)} if end < len(found) else {}
        return ActionResult({"Activities": [activity.as_answer() for activity in found[start:end]], **more})


def install() -> None:
    """Make moto answer with this class. Call this before the first request. More calls change nothing."""
    moto.autoscaling.urls.url_paths["{0}/$"] = LocalAutoScalingResponse.dispatch
