"""Keeps ECS services between their bounds and scales them as their policies say."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from moto.applicationautoscaling.models import FakeScalableTarget, applicationautoscaling_backends
from moto.ecs.exceptions import ServiceNotFoundException

from cortex_cdk.localcloud.autoscaling.target_tracking import IN_DATAPOINTS, Decision, History, Policy, decide
from cortex_cdk.localcloud.ecs.backend import EcsBackend, backends
from cortex_cdk.localcloud.ecs.service import Service
from cortex_cdk.localcloud.lock import STATE_LOCK
from cortex_cdk.localcloud.metrics import cloudwatch
from cortex_cdk.localcloud.metrics.store import Key, MetricStore, key
from cortex_cdk.localcloud.settings import ACCOUNT_ID

DIMENSION = "ecs:service:DesiredCount"
ACTIVITIES_KEPT = 50
MINUTE = 60.0
SLOWEST_PUBLISHER = 15.0
"""Seconds of real time within which replicas publish a metric again. They do not know of the faster clock."""
REQUESTS = "ALBRequestCountPerTarget"


class Autoscaler:
    """Scales the ECS services that are scalable targets.

    Args:
        speed: How many times faster than real time its minutes and cooldowns pass.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed

    def keep_bounds(self) -> None:
        """Bring services below their minimum or above their maximum back, as registering a target does."""
        with STATE_LOCK:
            for backend in backends():
                for target, service in _scaled_services(backend):
                    bounded = min(target.max_capacity, max(target.min_capacity, service.desired_count))
                    if bounded != service.desired_count:
                        bound = "minimum" if bounded > service.desired_count else "maximum"
                        _scale(backend, target, service, bounded, f"{bound} capacity was set to {bounded}")

    def evaluate(self) -> None:
        """Evaluate every policy once. To be called once a minute of the local clock."""
        with STATE_LOCK:
            for backend in backends():
                for target, service in _scaled_services(backend):
                    self._evaluate(backend, target, service)

    def _evaluate(self, backend: EcsBackend, target: FakeScalableTarget, service: Service) -> None:
        observed = [
            (_policy(body, name), self._datapoints(cloudwatch.store(backend.region_name), body))
            for name, body in _tracking_policies(target)
        ]
        decision = decide(
            observed,
            capacity=service.desired_count,
            minimum=target.min_capacity,
            maximum=target.max_capacity,
            history=getattr(target, "history", History()),
            now=time.time() * self._speed,
            deploying=service.primary["rolloutState"] == "IN_PROGRESS",
        )
        if decision and not _is_suspended(target, decision.capacity > service.desired_count):
            self._record(target, service.desired_count, decision)
            _scale(backend, target, service, decision.capacity, _cause(decision, target))

    def _record(self, target: FakeScalableTarget, capacity: int, decision: Decision) -> None:
        now = time.time() * self._speed
        if decision.capacity > capacity:
            # Scaling out ends the cooldown of scaling in (Application Auto Scaling guide, "Cooldown periods").
            target.history = History(out_at=now, before_out=capacity)
        else:
            target.history = History(in_at=now)

    def _datapoints(self, store: MetricStore, body: dict[str, Any]) -> list[float | None]:
        """The metric of a policy in the last minutes of the local clock, as values per minute."""
        metric, statistic = _metric(body)
        period = MINUTE / self._speed
        if statistic in cloudwatch.SUMMED:
            # A sum over a shorter minute counts fewer requests; the target is meant per whole minute.
            values = store.newest(metric, statistic, period=period, count=IN_DATAPOINTS)
            return [None if value is None else value * self._speed for value in values]
        overlap = max(0.0, SLOWEST_PUBLISHER - period)
        return store.newest(metric, statistic, period=period, count=IN_DATAPOINTS, overlap=overlap)


def _scaled_services(backend: EcsBackend) -> Iterator[tuple[FakeScalableTarget, Service]]:
    targets = applicationautoscaling_backends[ACCOUNT_ID][backend.region_name].targets.get(DIMENSION, {})
    for target in list(targets.values()):
        _, cluster, name = target.resource_id.split("/")
        try:
            service = backend.service(cluster, name)
        except ServiceNotFoundException:
            continue
        if service.status == "ACTIVE":
            yield target, service


def _tracking_policies(target: FakeScalableTarget) -> Iterator[tuple[str, dict[str, Any]]]:
    for policy in target.applicationautoscaling_backend.policies.values():
        body = policy.target_tracking_scaling_policy_configuration
        if policy.resource_id == target.resource_id and policy.scalable_dimension == DIMENSION and body:
            yield policy.policy_name, body


def _policy(body: dict[str, Any], name: str) -> Policy:
    return Policy(
        name=name,
        target=float(body["TargetValue"]),
        scale_out_cooldown=float(body.get("ScaleOutCooldown", 300)),
        scale_in_cooldown=float(body.get("ScaleInCooldown", 300)),
        disable_scale_in=str(body.get("DisableScaleIn", False)).lower() == "true",
    )


def _metric(body: dict[str, Any]) -> tuple[Key, str]:
    """The metric that a policy tracks, and its statistic."""
    predefined = body.get("PredefinedMetricSpecification")
    if predefined:
        if predefined["PredefinedMetricType"] != REQUESTS:
            return key("AWS/ECS", str(predefined["PredefinedMetricType"]), {}), "Average"
        balancer, _, group = predefined["ResourceLabel"].partition("/targetgroup/")
        dimensions = {"LoadBalancer": balancer, "TargetGroup": f"targetgroup/{group}"}
        return key("AWS/ApplicationELB", "RequestCountPerTarget", dimensions), "Sum"
    custom = body["CustomizedMetricSpecification"]
    dimensions = {item["Name"]: item["Value"] for item in custom.get("Dimensions", [])}
    return key(custom["Namespace"], custom["MetricName"], dimensions), str(custom["Statistic"])


def _is_suspended(target: FakeScalableTarget, out: bool) -> bool:
    state: Any = target.suspended_state or {}
    return bool(state.get("DynamicScalingOutSuspended" if out else "DynamicScalingInSuspended"))


def _cause(decision: Decision, target: FakeScalableTarget) -> str:
    return (
        f"monitor alarm TargetTracking-{target.resource_id}-{decision.alarm.value} in state ALARM triggered policy "
        f"{decision.policy}"
    )


def _scale(backend: EcsBackend, target: FakeScalableTarget, service: Service, count: int, cause: str) -> None:
    backend.update_service({"cluster": service.cluster_name, "service": service.name, "desired_count": count})
    moment = datetime.now(timezone.utc)
    activity = {
        "ActivityId": str(uuid.uuid4()),
        "ServiceNamespace": "ecs",
        "ResourceId": target.resource_id,
        "ScalableDimension": target.scalable_dimension,
        "Description": f"Setting desired count to {count}.",
        "Cause": cause,
        "StartTime": moment.timestamp(),
        "EndTime": moment.timestamp(),
        "StatusCode": "Successful",
        "StatusMessage": f"Successfully set desired count to {count}. Change successfully fulfilled by ecs.",
    }
    target.activities = [activity, *getattr(target, "activities", [])][:ACTIVITIES_KEPT]
