"""Decides what the failures of tasks do to a deployment: a pause before the next task, and the circuit breaker.

Sources: "Deployment circuit breaker" and "Service throttle logic" of the ECS developer guide.
"""

from __future__ import annotations

import time
from collections.abc import Container
from dataclasses import dataclass

from cortex_cdk.localcloud.services.ecs.service import Deployment, Service
from cortex_cdk.localcloud.services.ecs.task import Task

SMALLEST_THRESHOLD = 3
LARGEST_THRESHOLD = 200
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 15.0
"""Seconds."""
DOUBLINGS = 6
"""After so many the longest pause is reached. A power of a count without a bound would overflow in the end."""


@dataclass
class _Failures:
    """The failures in a row of one deployment's tasks.

    Attributes:
        count: How many there were.
        paused_until: When the next task may start, on the monotonic clock.
    """

    count: int = 0
    paused_until: float = 0.0


class CircuitBreaker:
    """Counts failed tasks by deployment.

    The counts are not stored: after a restart of the local cloud every deployment gets another chance at once.
    """

    def __init__(self) -> None:
        self._failures: dict[str, _Failures] = {}

    def record(self, service: Service, task: Task) -> None:
        """Count a task that failed by itself, and give its deployment up where that is due.

        Only the primary deployment counts: nothing of an earlier one is started again.

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
        # ECS's circuit breaker watches rollouts only. A deployment that is complete restarts its tasks for ever.
        if deployment["rolloutState"] == "IN_PROGRESS":
            deployment["failedTasks"] += 1
            _trip_if_due(service, deployment, task)

    def pauses(self, deployment_id: str) -> bool:
        """Return whether no task of a deployment may start now."""
        failures = self._failures.get(deployment_id)
        return failures is not None and time.monotonic() < failures.paused_until

    def reset(self, deployment_id: str) -> None:
        """Forget the failures of a deployment, whose service has reached a steady state."""
        self._failures.pop(deployment_id, None)

    def keep_only(self, deployment_ids: Container[str]) -> None:
        """Forget the failures of all other deployments: they are gone."""
        self._failures = {name: known for name, known in self._failures.items() if name in deployment_ids}


def failure_threshold(desired: int) -> int:
    """Return how many failed tasks trip the circuit breaker: half of the desired count, at least 3, at most 200."""
    return min(LARGEST_THRESHOLD, max(SMALLEST_THRESHOLD, -(-desired // 2)))


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
    if settings.get("enable") and deployment["failedTasks"] >= failure_threshold(service.desired_count):
        reason = f"ECS deployment circuit breaker: tasks failed to start. {_last_words(task)}"
        service.fail(reason, "tasks failed to start", rollback=bool(settings.get("rollback")))


def _last_words(task: Task) -> str:
    """Return why a task ended, in one line: the stopped reason, the exit code, and what the program itself said."""
    container = task.containers[0]
    text = task.stopped_reason or ""
    if "exitCode" in container:
        text += f" (exit code {container['exitCode']})"
    reason = container.get("reason")
    return f"{text}: {reason}" if reason and reason not in text else text
