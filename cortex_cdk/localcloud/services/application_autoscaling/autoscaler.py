"""Keeps ECS services within their bounds, and scales them as their policies say."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.ecs.exceptions import ServiceNotFoundException

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.services.application_autoscaling.models import (
    ONLY,
    ScalableTarget,
    ScalingPolicy,
    tracked_metrics,
)
from cortex_cdk.localcloud.services.application_autoscaling.target_tracking import (
    IN_DATAPOINTS,
    Alarm,
    Decision,
    History,
    alarm_of,
    decide,
)
from cortex_cdk.localcloud.services.cloudwatch import backend as cloudwatch
from cortex_cdk.localcloud.services.cloudwatch.metric_math import evaluate
from cortex_cdk.localcloud.services.cloudwatch.store import Key, MetricStore
from cortex_cdk.localcloud.services.ecs.backend import EcsBackend, backends
from cortex_cdk.localcloud.services.ecs.scheduler import is_of
from cortex_cdk.localcloud.services.ecs.service import Service
from cortex_cdk.localcloud.settings import ACCOUNT_ID
from cortex_cdk.localcloud.state_lock import STATE_LOCK

logger = logging.getLogger(__name__)

DIMENSION = "ecs:service:DesiredCount"
MINUTE = 60.0
MOST = 1_000_000
REPORT_SECONDS = 10.0
"""Seconds of real time between two values that a replica publishes, the first after its start included."""
SLOWEST_PUBLISHER = 15.0
"""Seconds of real time within which replicas publish a metric again. Replicas do not know the faster clock."""


class Autoscaler:
    """Scales the ECS services that are scalable targets.

    Args:
        speed: How many times faster than real time minutes and cooldowns pass.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed

    def keep_bounds(self) -> None:
        """Bring services back that are below their minimum or above their maximum, as registering a target does."""
        with STATE_LOCK:
            for backend in backends():
                for target, service in _scaled_services(backend):
                    bounded = target.bounded(service.desired_count)
                    if bounded != service.desired_count:
                        bound = "minimum" if bounded > service.desired_count else "maximum"
                        _scale(backend, target, service, bounded, f"{bound} capacity was set to {bounded}")

    def follow_activities(self) -> None:
        """End the activities that ECS has fulfilled. Call this when the running tasks have been counted."""
        now = steady_clock.now() * self._speed
        with STATE_LOCK:
            for backend in backends():
                for target, service in _scaled_services(backend):
                    target.follow(service.running_count, now)

    def evaluate(self) -> None:
        """Evaluate every policy once. Call this once a minute of the local clock."""
        with STATE_LOCK:
            for backend in backends():
                for target, service in _scaled_services(backend):
                    try:
                        self._evaluate(backend, target, service)
                    except Exception:
                        # A policy that makes no sense must not keep other services from being scaled.
                        logger.exception("The service %s could not be scaled.", service.name)

    def _evaluate(self, backend: EcsBackend, target: ScalableTarget, service: Service) -> None:
        policies = _tracking_policies(target)
        store = cloudwatch.store(backend.region_name)
        observed = [(policy.policy(), self._datapoints(store, policy.tracked or {})) for policy in policies]
        for policy, (plain, datapoints) in zip(policies, observed, strict=True):
            policy.show(alarm_of(plain, datapoints), datapoints)
        decision = decide(
            observed,
            capacity=service.desired_count,
            minimum=target.bounded(0),
            maximum=target.bounded(MOST),
            history=target.history,
            now=steady_clock.now() * self._speed,
            deploying=service.primary["rolloutState"] == "IN_PROGRESS",
            running=service.running_count,
            measured=[self._measured(backend, service, policy.tracked or {}) for policy in policies],
        )
        if decision and not _is_suspended(target, decision.capacity > service.desired_count):
            self._record(target, service.desired_count, decision)
            _scale(backend, target, service, decision.capacity, _cause(decision, policies))

    def _record(self, target: ScalableTarget, capacity: int, decision: Decision) -> None:
        now = steady_clock.now() * self._speed
        if decision.capacity > capacity:
            # Scaling out ends the cooldown of scaling in (Application Auto Scaling guide, "Cooldown periods").
            target.history = History(out_at=now, before_out=capacity)
        else:
            target.history = History(in_at=now)

    def _datapoints(self, store: MetricStore, body: Mapping[str, Any]) -> list[float | None]:
        """Return the tracked values of the last minutes of the local clock, one a minute, the newest last."""
        tracked = tracked_metrics(body)
        values = {name: self._newest(store, *part) for name, part in tracked.parts.items()}
        if tracked.expression is None:
            return values[ONLY]
        minutes = list(map(float, range(IN_DATAPOINTS)))
        series = {
            name: {minute: value for minute, value in zip(minutes, found, strict=True) if value is not None}
            for name, found in values.items()
        }
        computed = evaluate(tracked.expression, series, minutes)
        return [computed.get(minute) for minute in minutes]

    def _measured(self, backend: EcsBackend, service: Service, body: Mapping[str, Any]) -> int:
        """Return how many running tasks a tracked average is over.

        On a faster clock, a task that has just started is not in the average of its service for several minutes,
        because it publishes after ten seconds as all tasks do. On AWS the cooldown is longer than that.
        """
        statistics = {statistic for _, statistic in tracked_metrics(body).parts.values()}
        if statistics <= set(cloudwatch.SUMMED) or MINUTE / self._speed >= SLOWEST_PUBLISHER:
            return service.running_count
        began = time.monotonic() - SLOWEST_PUBLISHER - REPORT_SECONDS
        tasks = [task for task in backend.all_tasks() if is_of(task, service) and task.last_status == "RUNNING"]
        return sum(task.running_since is not None and task.running_since <= began for task in tasks)

    def _newest(self, store: MetricStore, tracked: Key, statistic: str) -> list[float | None]:
        period = MINUTE / self._speed
        if statistic in cloudwatch.SUMMED:
            # A sum over a shorter minute counts fewer requests, but the target is meant for a whole minute.
            values = store.newest(tracked, statistic, period=period, count=IN_DATAPOINTS)
            return [None if value is None else value * self._speed for value in values]
        overlap = max(0.0, SLOWEST_PUBLISHER - period)
        return store.newest(tracked, statistic, period=period, count=IN_DATAPOINTS, overlap=overlap)


def _scaled_services(backend: EcsBackend) -> Iterator[tuple[ScalableTarget, Service]]:
    targets = applicationautoscaling_backends[ACCOUNT_ID][backend.region_name].targets.get(DIMENSION, {})
    for target in list(targets.values()):
        _, cluster, name = target.resource_id.split("/")
        try:
            service = backend.service(cluster, name)
        except ServiceNotFoundException:
            continue
        if service.status == "ACTIVE" and isinstance(target, ScalableTarget):
            yield target, service


def _tracking_policies(target: ScalableTarget) -> list[ScalingPolicy]:
    return [
        policy
        for policy in target.applicationautoscaling_backend.policies.values()
        if isinstance(policy, ScalingPolicy) and policy.resource_id == target.resource_id and policy.tracked
    ]


def _is_suspended(target: ScalableTarget, out: bool) -> bool:
    state: Any = target.suspended_state or {}
    return bool(state.get("DynamicScalingOutSuspended" if out else "DynamicScalingInSuspended"))


def _cause(decision: Decision, policies: Sequence[ScalingPolicy]) -> str:
    policy = next(policy for policy in policies if policy.policy_name == decision.policy)
    alarm = policy.alarms[0 if decision.alarm is Alarm.HIGH else 1]
    return f"monitor alarm {alarm.name} in state ALARM triggered policy {decision.policy}"


def _scale(backend: EcsBackend, target: ScalableTarget, service: Service, count: int, cause: str) -> None:
    backend.update_service({"cluster": service.cluster_name, "service": service.name, "desired_count": count})
    target.begin(count, cause)
