"""Scalable targets that keep their activities, and policies whose alarms watch the tracked metric (moto's: the CPU)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from cortex_cdk.localcloud.services.cloudwatch.resources import alarm_query
from cortex_cdk.localcloud.services.cloudwatch.store import Key, key

REQUESTS = "ALBRequestCountPerTarget"
ONLY = "m"
"""The id of a metric that is tracked without an expression."""
STATES = {
    Alarm.HIGH: ("ALARM", "OK"),
    Alarm.LOW: ("OK", "ALARM"),
    Alarm.OK: ("OK", "OK"),
    Alarm.NO_DATA: ("INSUFFICIENT_DATA", "INSUFFICIENT_DATA"),
}
"""The states of a policy's alarms, the high one first."""


ACTIVITIES_KEPT = 50
IN_PROGRESS, SUCCESSFUL, OVERRIDDEN = "InProgress", "Successful", "Overridden"


class ScalableTarget(FakeScalableTarget):
    """A scalable target with its activities.

    Attributes:
        history: The last activities, in the form that decisions need.
        activities: The activities that are kept, as AWS describes them, the newest first.
        awaited: The desired count that the newest activity has set, while other numbers of tasks run.
    """

    awaited: int | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.history = History()
        self.activities: list[dict[str, Any]] = []

    def bounded(self, capacity: int) -> int:
        """Return the capacity within the target's bounds that is nearest to a given one."""
        least = 0 if self.min_capacity is None else self.min_capacity
        most = capacity if self.max_capacity is None else self.max_capacity
        return max(least, min(most, capacity))

    def begin(self, count: int, cause: str) -> None:
        """Record an activity that has set the desired count. An activity that was not over by then has lost its end."""
        if self.awaited is not None:
            was_set = f"Successfully set desired count to {self.awaited}."
            self._end(OVERRIDDEN, f"{was_set} Found it was later changed to {count}.")
        activity = {
            "ActivityId": str(uuid.uuid4()),
            "ServiceNamespace": "ecs",
            "ResourceId": self.resource_id,
            "ScalableDimension": self.scalable_dimension,
            "Description": f"Setting desired count to {count}.",
            "Cause": cause,
            "StartTime": time.time(),
            "StatusCode": IN_PROGRESS,
            "StatusMessage": f"Successfully set desired count to {count}. Waiting for change to be fulfilled by ecs.",
        }
        self.activities = [activity, *self.activities][:ACTIVITIES_KEPT]
        self.awaited = count

    def follow(self, running: int, now: float) -> None:
        """Record whether ECS has fulfilled the newest activity.

        The cooldown of a scaling out begins with the end of the activity ("the amount of time after a scale out
        activity completes", TargetTrackingScalingPolicyConfiguration). So tasks that wait for an instance are never
        asked for twice.

        Args:
            running: The service's running tasks.
            now: The time in seconds, on the clock of ``history``.
        """
        if self.awaited is None:
            return
        if self.history.out_at is not None:
            self.history = replace(self.history, out_at=now)
        if running == self.awaited:
            message = f"Successfully set desired count to {running}. Change successfully fulfilled by ecs."
            self._end(SUCCESSFUL, message)

    def _end(self, status: str, message: str) -> None:
        self.activities[0].update(StatusCode=status, StatusMessage=message, EndTime=time.time())
        self.awaited = None


class ScalingPolicy(FakeApplicationAutoscalingPolicy):
    """A scaling policy of an ECS service."""

    @property
    def tracked(self) -> Mapping[str, Any] | None:
        """The target tracking configuration; None for another kind of policy."""
        body: Mapping[str, Any] | None = self.target_tracking_scaling_policy_configuration
        return body

    def policy(self) -> Policy:
        """Return the settings that decisions need, as plain values.

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
        """Write the state of the tracked metric, and the reason, into the policy's alarms."""
        for alarm, value in zip(self.alarms, STATES[state], strict=True):
            seen = datapoints[-int(alarm.evaluation_periods) :]
            alarms.show(alarm, value, alarms.reason_for(value, seen, alarm.comparison_operator, float(alarm.threshold)))

    def create_alarms(self) -> None:
        """Make the policy's alarms. A policy that is put again keeps its ARN and its alarms. moto would make new
        alarms and leave the old ones behind."""
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
        return cloudwatch_backends[self.account_id][self.region_name].put_metric_alarm(
            name=f"TargetTracking-{self.resource_id}-{kind}-{uuid.uuid5(self._guid, kind)}",
            comparison_operator=comparison,
            evaluation_periods=periods,
            threshold=threshold,
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {self.policy_arn}.",
            alarm_actions=[self.policy_arn],
            **watched(self.tracked or {}),
        )


def watched(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metric that the alarms of a configuration watch, as arguments of ``put_metric_alarm``."""
    metrics = tracked_metrics(body)
    if metrics.expression is None:
        ((namespace, name, dimensions), statistic) = metrics.parts[ONLY]
        return {
            "namespace": namespace,
            "metric_name": name,
            "dimensions": [{"Name": item, "Value": value} for item, value in dimensions],
            "metric_data_queries": [],
            "period": 60,
            "statistic": statistic,
        }
    queries = body["CustomizedMetricSpecification"]["Metrics"]
    return {
        "namespace": None,
        "metric_name": None,
        "dimensions": [],
        "metric_data_queries": [alarm_query(_with_period(query)) for query in queries],
        "period": None,
        "statistic": None,
    }


def _with_period(query: Mapping[str, Any]) -> dict[str, Any]:
    # The queries of a policy have no period. The period is a minute.
    made = dict(query)
    if "MetricStat" in made:
        made["MetricStat"] = {"Period": 60, **made["MetricStat"]}
    return made


@dataclass(frozen=True)
class TrackedMetrics:
    """The metrics that a policy tracks.

    Attributes:
        parts: Metrics and their statistics, by their ids in the expression.
        expression: The expression of the metrics; None for a single metric.
    """

    parts: Mapping[str, tuple[Key, str]]
    expression: str | None = None


def tracked_metrics(body: Mapping[str, Any]) -> TrackedMetrics:
    """Return the metrics that a target tracking configuration names, and their expression.

    Raises:
        ValueError: Not exactly one of the queries returns data.
    """
    custom = body.get("CustomizedMetricSpecification")
    if custom is None:
        return TrackedMetrics({ONLY: _predefined(body["PredefinedMetricSpecification"])})
    if not custom.get("Metrics"):
        return TrackedMetrics({ONLY: (_key(custom), str(custom["Statistic"]))})
    statistics = {query["Id"]: query["MetricStat"] for query in custom["Metrics"] if "MetricStat" in query}
    parts = {name: (_key(found["Metric"]), str(found["Stat"])) for name, found in statistics.items()}
    returned = [query for query in custom["Metrics"] if str(query.get("ReturnData", True)).lower() != "false"]
    if len(returned) != 1:
        raise ValueError(f"exactly one metric must have ReturnData, not {len(returned)}")
    return TrackedMetrics(parts, returned[0].get("Expression", returned[0]["Id"]))


def _key(metric: Mapping[str, Any]) -> Key:
    dimensions = {item["Name"]: item["Value"] for item in metric.get("Dimensions", [])}
    return key(metric["Namespace"], metric["MetricName"], dimensions)


def _predefined(metric: Mapping[str, Any]) -> tuple[Key, str]:
    if metric["PredefinedMetricType"] != REQUESTS:
        return key("AWS/ECS", str(metric["PredefinedMetricType"]), {}), "Average"
    balancer, _, group = metric["ResourceLabel"].partition("/targetgroup/")
    dimensions = {"LoadBalancer": balancer, "TargetGroup": f"targetgroup/{group}"}
    return key("AWS/ApplicationELB", "RequestCountPerTarget", dimensions), "Sum"


def is_own(alarm_name: str) -> bool:
    """Return whether an alarm belongs to a scaling policy, which sets the alarm's state."""
    return alarm_name.startswith("TargetTracking-")


def install() -> None:
    """Make moto create these models. Call this before the first one is made. More calls change nothing."""
    moto.applicationautoscaling.models.FakeScalableTarget = ScalableTarget  # type: ignore[misc]
    moto.applicationautoscaling.models.FakeApplicationAutoscalingPolicy = ScalingPolicy  # type: ignore[misc]
