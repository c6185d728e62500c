"""Answers what moto lacks: scaling activities and instance refreshes."""

from __future__ import annotations

from typing import Any, TypeVar

import moto.autoscaling.urls
from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from cortex_cdk.localcloud.services.autoscaling import replacement
from cortex_cdk.localcloud.services.autoscaling.groups import AutoScalingGroup, groups
from cortex_cdk.localcloud.services.autoscaling.instance_refresh import InstanceRefresh, Preferences
from cortex_cdk.localcloud.state_lock import STATE_LOCK

T = TypeVar("T")
MOST_A_PAGE = 100
"""Of DescribeScalingActivities, and of DescribeInstanceRefreshes."""
MOST_APART = 100
"""The widest range between the two healthy percentages of a refresh."""


class LocalAutoScalingResponse(AutoScalingResponse):
    """moto's actions, with DescribeScalingActivities and instance refreshes."""

    def describe_scaling_activities(self) -> ActionResult:
        """Answer DescribeScalingActivities, the newest first. Activities go with their group."""
        wanted = [self._group()] if self._get_param("AutoScalingGroupName") else groups(self.region)
        found = [activity for group in wanted for activity in group.activities]
        ids = self._get_param("ActivityIds")
        found = [activity for activity in found if not ids or activity.id in ids]
        found.sort(key=lambda activity: activity.began, reverse=True)
        page, more = self._page(found)
        return ActionResult({"Activities": [activity.as_answer() for activity in page], **more})

    def start_instance_refresh(self) -> ActionResult:
        """Answer StartInstanceRefresh."""
        if self._get_param("DesiredConfiguration"):
            raise ValidationError("The local cloud refreshes instances to the configuration that the group has.")
        with STATE_LOCK:
            refresh = replacement.start(self._group(), _preferences(self._get_param("Preferences", {})))
        return ActionResult({"InstanceRefreshId": refresh.id})

    def cancel_instance_refresh(self) -> ActionResult:
        """Answer CancelInstanceRefresh."""
        with STATE_LOCK:
            return ActionResult({"InstanceRefreshId": replacement.cancel(self._group()).id})

    def describe_instance_refreshes(self) -> ActionResult:
        """Answer DescribeInstanceRefreshes, the newest first."""
        ids = self._get_param("InstanceRefreshIds")
        with STATE_LOCK:
            found = [one for one in reversed(self._group().refreshes) if not ids or one.id in ids]
            page, more = self._page(found)
            return ActionResult({"InstanceRefreshes": [_described(one) for one in page], **more})

    def _page(self, found: list[T]) -> tuple[list[T], dict[str, str]]:
        """The page that is asked for, and the token of the next one, if there is one."""
        start = int(self._get_param("NextToken") or 0)
        end = start + int(self._get_param("MaxRecords") or MOST_A_PAGE)
        return found[start:end], {"NextToken": str(end)} if end < len(found) else {}

    def _group(self) -> AutoScalingGroup:
        wanted = self._get_param("AutoScalingGroupName")
        for group in groups(self.region):
            if group.name == wanted:
                return group
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup {wanted} not found")


def _preferences(given: dict[str, Any]) -> Preferences:
    least, most = int(given.get("MinHealthyPercentage", 90)), int(given.get("MaxHealthyPercentage", 100))
    if "MaxHealthyPercentage" in given and "MinHealthyPercentage" not in given:
        raise ValidationError("You must specify MinHealthyPercentage if you specify MaxHealthyPercentage.")
    if most - least > MOST_APART:
        raise ValidationError("The difference between MaxHealthyPercentage and MinHealthyPercentage exceeds 100.")
    return Preferences(
        minimum=least,
        maximum=most,
        warmup_s=float(given.get("InstanceWarmup", 0)),
        protected=given.get("ScaleInProtectedInstances", "Wait"),
        skip_matching=bool(given.get("SkipMatching", False)),
    )


def _described(refresh: InstanceRefresh) -> dict[str, Any]:
    preferences = refresh.preferences
    shown = {
        "InstanceRefreshId": refresh.id,
        "AutoScalingGroupName": refresh.group,
        "Status": refresh.status,
        "StatusReason": refresh.reason or None,
        "StartTime": refresh.began,
        "EndTime": refresh.ended,
        "PercentageComplete": refresh.percent,
        "InstancesToUpdate": refresh.left,
        "Preferences": {
            "MinHealthyPercentage": preferences.minimum,
            "MaxHealthyPercentage": preferences.maximum,
            "InstanceWarmup": int(preferences.warmup_s),
            "ScaleInProtectedInstances": preferences.protected,
            "SkipMatching": preferences.skip_matching,
        },
    }
    return {name: value for name, value in shown.items() if value is not None}


def install() -> None:
    """Make moto answer with this class. Call this before the first request. More calls change nothing."""
    moto.autoscaling.urls.url_paths["{0}/$"] = LocalAutoScalingResponse.dispatch
