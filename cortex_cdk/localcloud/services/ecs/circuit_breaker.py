"""Decides what the failures of tasks do to a deployment: a pause before the next task, and the circuit breaker.

Sources: "Deployment circuit breaker" and "Service throttle logic" of the ECS developer guide;
``DeploymentCircuitBreaker`` and ``ThresholdConfiguration`` of the ECS API reference.
"""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Set
from dataclasses import dataclass
from typing import Any

from cortex_cdk.localcloud.services.ecs.service import Deployment, Service
from cortex_cdk.localcloud.services.ecs.task import Task

DEFAULT_PERCENT = 50
SMALLEST_THRESHOLD = 3
LARGEST_THRESHOLD = 200
"""Bounds of a threshold of the type ``BOUNDED_PERCENT``."""
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 15.0
"""Seconds between the failure of a task and the next start."""
DOUBLINGS = 6
"""After so many doublings the pause is the longest. Without a bound the power would overflow in the end."""


@dataclass
class _Failures:
    """The failures in a row of one deployment's tasks.

    Attributes:
        count: How many tasks have failed.
        paused_until: When the next task may start, on the monotonic clock.
        healthy: The tasks that were healthy at the last look.
    """

    count: int = 0
    paused_until: float = 0.0
    healthy: Set[str] = frozenset()


class CircuitBreaker:
    """Counts failed tasks by deployment, pauses the deployment, and gives it up.

    The counts are not stored: a restart of the local cloud gives each deployment another chance at once.
    """

    def __init__(self) -> None:
        self._failures: dict[str, _Failures] = {}

    def record(self, service: Service, task: Task) -> None:
        """Count a task that failed by itself, and give its deployment up at the threshold.

        Only the primary deployment counts, because no task of an earlier one is started again.

        Args:
            service: The task's service.
            task: The task, stopped or about to stop.
        """
        deployment = service.primary
        if task.started_by != deployment["id"]:
            return
        failures = self._failures.setdefault(deployment["id"], _Failures())
        failures.count += 1
        failures.paused_until = time.monotonic() + pause_before_start(failures.count)
        # The circuit breaker watches rollouts only. A completed deployment starts its tasks again for ever.
        if deployment["rolloutState"] == "IN_PROGRESS":
            deployment["failedTasks"] += 1
            _trip_if_due(service, deployment, task)

    def pauses(self, deployment_id: str) -> bool:
        """Return whether no task of a deployment may start now."""
        failures = self._failures.get(deployment_id)
        return failures is not None and time.monotonic() < failures.paused_until

    def see_healthy(self, service: Service, healthy: Set[str]) -> None:
        """Take note of the primary deployment's healthy tasks. A task that becomes healthy ends a row of failures.

        Args:
            service: The service.
            healthy: Ids of the tasks that are healthy now.
        """
        deployment = service.primary
        if deployment["rolloutState"] != "IN_PROGRESS":
            return
        failures = self._failures.setdefault(deployment["id"], _Failures())
        if healthy - failures.healthy and service.circuit_breaker.get("resetOnHealthyTask", True):
            deployment["failedTasks"] = 0
        failures.healthy = healthy

    def reset(self, deployment_id: str) -> None:
        """Forget the failures of a deployment, because its service has reached a steady state."""
        self._failures.pop(deployment_id, None)

    def keep_only(self, deployment_ids: Container[str]) -> None:
        """Forget the failures of all other deployments, because they are gone."""
        self._failures = {name: known for name, known in self._failures.items() if name in deployment_ids}


def failure_threshold(configuration: Mapping[str, Any], desired: int) -> int:
    """Return how many failed tasks trip the circuit breaker.

    Args:
        configuration: The ``thresholdConfiguration``. By default half of the desired count, at least 3, at most 200.
        desired: The desired count of the service.
    """
    kind, value = configuration.get("type") or "BOUNDED_PERCENT", int(configuration.get("value") or DEFAULT_PERCENT)
    if kind == "COUNT":
        return value
    threshold = max(1, -(-desired * value // 100))
    return threshold if kind == "UNBOUNDED_PERCENT" else min(LARGEST_THRESHOLD, max(SMALLEST_THRESHOLD, threshold))


def pause_before_start(failures: int) -> float:
    """Return the seconds to wait before another task is started after so many failures in a row.

    ECS makes the pauses of a service longer and longer, up to 27 minutes. Here the first replacement is immediate.
    Then the pauses double from a quarter of a second to 15 seconds: the user soon sees a crash loop, and the loop does
    not keep the machine busy.
    """
    if failures < 2:
        return 0.0
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 2, DOUBLINGS))


def _trip_if_due(service: Service, deployment: Deployment, task: Task) -> None:
    settings = service.circuit_breaker
    threshold = failure_threshold(settings.get("thresholdConfiguration") or {}, service.desired_count)
    if settings.get("enable") and deployment["failedTasks"] >= threshold:
        reason = f"ECS deployment circuit breaker: tasks failed to start. {_last_words(task)}"
        service.fail(reason, "tasks failed to start", rollback=bool(settings.get("rollback")))


def _last_words(task: Task) -> str:
    """Return why a task ended, in one line: the stopped reason, the exit code, and the program's last words."""
    container = task.containers[0]
    text = task.stopped_reason or ""
    if "exitCode" in container:
        text += f" (exit code {container['exitCode']})"
    reason = container.get("reason")
    return f"{text}: {reason}" if reason and reason not in text else text
