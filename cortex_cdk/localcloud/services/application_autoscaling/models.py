"""Scalable targets that remember what happened, and policies whose alarms watch what they track (moto's: the CPU)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import moto.applicationautoscaling.models
from moto.applicationautoscaling.models import FakeApplicationAutoscalingPolicy, FakeScalableTarget
from moto.cloudwatch.models import Alarm as CloudWatchAlarm
from moto.cloudwatch.models import cloudwatch_backends

from cortex_cdk.localcloud.services.application_autoscaling.target_tracking import (
    IN_DATAPOINTS,
    IN_FRACTION,
    OUT_DATAPOINTS,
    Alarm,
    History,
    Policy,
)
from cortex_cdk.localcloud.services.cloudwatch import alarms
from cortex_cdk.localcloud.services.cloudwatch.store import Key, key

REQUESTS = "ALBRequestCountPerTarget"
STATES = {
    Alarm.HIGH: ("ALARM", "OK"),
    Alarm.LOW: ("OK", "ALARM"),
    Alarm.OK: ("OK", "OK"),
    Alarm.NO_DATA: ("INSUFFICIENT_DATA", "INSUFFICIENT_DATA"),
}
"""The states of a policy's alarms, the high one first."""


class ScalableTarget(FakeScalableTarget):
    """A scalable target with its past.

    Attributes:
        history: The last scaling activities, as decisions need them.
        activities: All of them that are kept, as AWS describes them, the newest first.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.history = History()
        self.activities: list[dict[str, Any]] = []

    def bounded(self, capacity: int) -> int:
        """The capacity between the target's bounds that is nearest to the given one."""
        least = 0 if self.min_capacity is None else self.min_capacity
        most = capacity if self.max_capacity is None else self.max_capacity
        return max(least, min(most, capacity))


class ScalingPolicy(FakeApplicationAutoscalingPolicy):
    """A scaling policy of an ECS service."""

    @property
    def tracked(self) -> Mapping[str, Any] | None:
        """The target tracking configuration; None for another kind of policy."""
        body: Mapping[str, Any] | None = self.target_tracking_scaling_policy_configuration
        return body

    def policy(self) -> Policy:
        """What decides, as plain values.

        Raises:
            ValueError: The policy is not a target-tracking policy.
        """
        body = self.tracked
        if body is None:
            raise ValueError(f"{self.policy_name} tracks no target")
        return Policy(
            name=self.policy_name,
            target=float(body["TargetValue"]),
            scale_out_cooldown=float(body.get("ScaleOutCooldown", 300)),
            scale_in_cooldown=float(body.get("ScaleInCooldown", 300)),
            disable_scale_in=str(body.get("DisableScaleIn", False)).lower() == "true",
        )

    def show(self, state: Alarm, datapoints: Sequence[float | None]) -> None:
        """Write the state of its metric, and why it is so, into its alarms."""
        for alarm, value in zip(self.alarms, STATES[state], strict=True):
            seen = datapoints[-int(alarm.evaluation_periods) :]
            alarms.show(alarm, value, alarms.reason_for(value, seen, alarm.comparison_operator, float(alarm.threshold)))

    def create_alarms(self) -> None:
        """Make its alarms. A policy that is put again keeps its ARN and has no other alarms; moto would make new ones
        and leave the old ones behind."""
        guid = uuid.uuid5(uuid.NAMESPACE_OID, f"{self.resource_id}/{self.scalable_dimension}/{self.policy_name}")
        self.policy_arn = self.policy_arn.replace(str(self._guid), str(guid))
        self._guid = guid
        super().create_alarms()

    def _generate_ecs_alarms(self) -> list[CloudWatchAlarm]:
        target = self.policy().target
        return [
            self._alarm("AlarmHigh", "GreaterThanThreshold", OUT_DATAPOINTS, target),
            self._alarm("AlarmLow", "LessThanThreshold", IN_DATAPOINTS, target * IN_FRACTION),
        ]

    def _alarm(self, kind: str, comparison: str, periods: int, threshold: float) -> CloudWatchAlarm:
        (namespace, name, dimensions), statistic = metric(self.tracked or {})
        return cloudwatch_backends[self.account_id][self.region_name].put_metric_alarm(
            name=f"TargetTracking-{self.resource_id}-{kind}-{uuid.uuid5(self._guid, kind)}",
            namespace=namespace,
            metric_name=name,
            metric_data_queries=[],
            comparison_operator=comparison,
            evaluation_periods=periods,
            period=60,
            threshold=threshold,
            statistic=statistic,
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {self.policy_arn}.",
            dimensions=[{"Name": item, "Value": value} for item, value in dimensions],
            alarm_actions=[self.policy_arn],
        )


def metric(body: Mapping[str, Any]) -> tuple[Key, str]:
    """The metric that a target tracking configuration names, and its statistic."""
    predefined = body.get("PredefinedMetricSpecification")
    if predefined is None:
        custom = body["CustomizedMetricSpecification"]
        dimensions = {item["Name"]: item["Value"] for item in custom.get("Dimensions", [])}
        return key(custom["Namespace"], custom["MetricName"], dimensions), str(custom["Statistic"])
    if predefined["PredefinedMetricType"] != REQUESTS:
        return key("AWS/ECS", str(predefined["PredefinedMetricType"]), {}), "Average"
    balancer, _, group = predefined["ResourceLabel"].partition("/targetgroup/")
    dimensions = {"LoadBalancer": balancer, "TargetGroup": f"targetgroup/{group}"}
    return key("AWS/ApplicationELB", "RequestCountPerTarget", dimensions), "Sum"


def is_own(alarm_name: str) -> bool:
    """Whether an alarm belongs to a scaling policy, which sets its state itself."""
    return alarm_name.startswith("TargetTracking-")


def install() -> None:
    """Make moto create these models. To be called before the first one is made; more calls change nothing."""
    moto.applicationautoscaling.models.FakeScalableTarget = ScalableTarget  # type: ignore[misc]
    moto.applicationautoscaling.models.FakeApplicationAutoscalingPolicy = ScalingPolicy  # type: ignore[misc]
