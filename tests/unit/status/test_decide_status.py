"""Statuses from the states of ECS: the order of Cortex (cortex.md 4.3), case by case."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from types import EllipsisType
from typing import Any

import pytest

from cortex_cdk.status.decide_status import Observed, Verdict, is_settled, serving, status_of_replicas

Events = Sequence[tuple[datetime, str]]

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


def ago(**passed: float) -> datetime:
    return NOW - timedelta(**passed)


def service(*, desired: int = 3, new: int = 3, old: int = 0, rollout: str = "COMPLETED", events: Events = ()) -> Any:
    """A service with ``new`` tasks of the newest deployment and ``old`` of the one before it."""
    deployments = [{"id": "new", "status": "PRIMARY", "runningCount": new, "rolloutState": rollout}]
    if old:
        deployments.append({"id": "old", "status": "ACTIVE", "runningCount": old})
    texts = [{"createdAt": moment, "message": message} for moment, message in events]
    return {"desiredCount": desired, "runningCount": new + old, "deployments": deployments, "events": texts}


def running(started: datetime | None = None) -> Any:
    return {"startedBy": "new", "lastStatus": "RUNNING", "startedAt": started or ago(minutes=30), "taskArn": "a/run"}


def stopped(
    *,
    at: datetime | None = None,
    code: str = "EssentialContainerExited",
    why: str = "Essential container in task exited",
    by: str = "new",
    **container: object,
) -> Any:
    return {
        "startedBy": by,
        "lastStatus": "STOPPED",
        "stopCode": code,
        "stoppedReason": why,
        "stoppedAt": at or ago(minutes=1),
        "containers": [container],
        "taskArn": "a/stopped",
    }


def seen(ready: int, *tasks: Any, minimum: int = 1, **of_service: Any) -> Verdict:
    return status_of_replicas(Observed(service(**of_service), ready, minimum, tasks, NOW))


PULL = stopped(code="TaskFailedToStart", why="CannotPullContainerError: not found")
OOM = stopped(reason="OutOfMemoryError: Container killed due to memory usage", exitCode=137)
EXIT = stopped(exitCode=1)
SCALED_IN = stopped(code="ServiceSchedulerInitiated", why="Scaling activity initiated by (deployment new)")
UNHEALTHY = stopped(code="ServiceSchedulerInitiated", why="Task failed ELB health checks in (target-group x)")
LOST = stopped(code="SpotInterruption", why="Your Spot Task was interrupted.")
UNPLACED = "(service iris) was unable to place a task because no container instance met all of its requirements. "
NO_GPU = UNPLACED + "Reason: No instance has a GPU left."


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("live", seen(3)),
        ("live", seen(3, EXIT, OOM)),
        ("live", seen(0, desired=0, new=0)),
        ("error (image pull)", seen(1, EXIT, PULL, OOM)),
        ("error", seen(1, EXIT, OOM)),
        ("error", seen(0, UNHEALTHY)),
        ("error", seen(2, stopped(exitCode=137))),
        ("error (out of memory)", seen(2, OOM)),
        ("updating", seen(0, new=1)),
        ("updating", seen(0, SCALED_IN, new=1)),
        ("updating", seen(0, LOST, new=1)),
        ("updating", seen(0, stopped(by="old"), new=1)),
        ("updating", seen(1, minimum=2, new=1)),
        ("live", seen(2, minimum=2, new=2)),
    ],
)
def test_status(status: str, verdict: Verdict) -> None:
    assert verdict.status == status


def test_a_failure_counts_until_a_replica_that_started_later_is_ready() -> None:
    failed = stopped(at=ago(minutes=5), exitCode=1)
    assert seen(1, running(ago(minutes=9)), failed).status == "error"
    assert seen(1, running(ago(minutes=9)), running(ago(minutes=4)), failed).status == "error", "it is not ready yet"
    assert seen(2, running(ago(minutes=9)), running(ago(minutes=4)), failed).status == "live", "enough for min_replicas"


def test_replicas_are_counted_by_deployment() -> None:
    replicas = seen(1, EXIT, EXIT, EXIT, new=1, old=2).replicas
    assert (replicas.requested, replicas.up_to_date, replicas.stale, replicas.failed) == (3, 1, 2, 2)


def test_the_reason_names_what_stopped_the_last_replica() -> None:
    verdict = seen(0, stopped(at=ago(minutes=9), exitCode=2), stopped(at=ago(minutes=1), exitCode=3))
    assert verdict.reason == "Essential container in task exited (exit code 3)"
    assert verdict.failed_task
    assert verdict.failed_task["containers"] == [{"exitCode": 3}]


@pytest.mark.parametrize(
    ("events", "status", "reason"),
    [
        ([(ago(seconds=5), NO_GPU)], "updating", "waiting for capacity: No instance has a GPU left."),
        ([(ago(seconds=5), UNPLACED)], "updating", f"waiting for capacity: {UNPLACED}"),
        (
            [(ago(minutes=1), NO_GPU), (ago(minutes=11), NO_GPU)],
            "compute unavailable",
            "waiting for capacity: No instance has a GPU left.",
        ),
        ([(ago(minutes=1), "(service iris) has started 1 tasks"), (ago(minutes=11), NO_GPU)], "updating", None),
        (
            [(ago(minutes=1), NO_GPU), (ago(minutes=2), "has started 1 tasks"), (ago(minutes=11), NO_GPU)],
            "updating",
            ...,
        ),
    ],
)
def test_waiting_for_capacity_is_told_at_once_and_called_so_after_ten_minutes(
    events: Events, status: str, reason: str | EllipsisType | None
) -> None:
    verdict = seen(0, new=0, events=events)
    assert verdict.status == status
    assert reason is ... or verdict.reason == reason


def test_a_task_without_an_instance_waits_too() -> None:
    waiting = {"startedBy": "new", "lastStatus": "PROVISIONING", "createdAt": ago(minutes=2), "taskArn": "a/wait"}
    assert seen(0, waiting, new=0).reason == "waiting for capacity: no instance has room for it yet"
    assert seen(0, {**waiting, "createdAt": ago(seconds=3)}, new=0).reason is None
    assert seen(0, {**waiting, "createdAt": ago(minutes=11)}, new=0).status == "compute unavailable"


def test_what_serves_during_a_rollout_is_never_counted_too_high() -> None:
    assert serving(service(new=2, old=3), healthy_targets=4) == 1
    assert serving(service(new=2, old=3), healthy_targets=3) == 0
    assert serving(service(new=2, old=0), healthy_targets=9) == 2
    assert serving(service(new=0, old=3), healthy_targets=1) == 0


STARTED, STEADY = "(service a) has started 1 tasks: (task 1).", "(service a) has reached a steady state."


def test_a_service_is_settled_once_its_rollout_is_complete_and_every_task_is_healthy() -> None:
    steady = ((NOW, STEADY), (ago(minutes=1), STARTED))
    assert is_settled(service(events=steady))
    assert is_settled(service(events=((NOW, "(service a) (deployment ecs-svc/1) deployment completed."), *steady)))
    assert not is_settled(service(events=steady, rollout="IN_PROGRESS"))
    assert not is_settled(service(events=steady, new=2))
    assert not is_settled(service(events=((NOW, STARTED), *steady)))
    assert not is_settled(service())
