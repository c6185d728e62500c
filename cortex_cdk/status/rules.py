"""Decides the status of an API from what ECS and ELB say of its replicas. Pure: it reads nothing.

The statuses and their order are those of the original Cortex (cortex.md 4.3). Where Kubernetes tells the state of
each pod, ECS keeps a list of the tasks that stopped; a stopped one counts as failed until a replica that was
started later is ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cortex_cdk.replicas.pending import refusal
from cortex_cdk.replicas.rollout import stopped_reason

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import DeploymentTypeDef, ServiceTypeDef, TaskTypeDef

LIVE = "live"
UPDATING = "updating"
ERROR = "error"
ERROR_IMAGE_PULL = "error (image pull)"
OUT_OF_MEMORY = "error (out of memory)"
NO_COMPUTE = "compute unavailable"
DELETING = "deleting"
UNKNOWN = "unknown"

# A replica that waits this long for a place will not get one soon (Cortex's "stalled").
STALLED_AFTER = timedelta(minutes=10)
# An instance that starts takes minutes; only a wait beyond this is worth a word.
WAITING_AFTER = timedelta(seconds=30)

# Newest event of a service whose tasks are all healthy; of an update both come, in either order.
AT_REST = ("has reached a steady state", "deployment completed")
BY_ITSELF = frozenset({"TaskFailedToStart", "EssentialContainerExited", "SpotInterruption"})
_BEFORE_ALL = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Replicas:
    """How many replicas there are.

    Attributes:
        requested: How many are wanted.
        up_to_date: How many of the newest revision can serve.
        stale: How many of earlier revisions run.
        failed: How many of the newest revision stopped by themselves and are not made up for.
    """

    requested: int
    up_to_date: int
    stale: int
    failed: int


@dataclass(frozen=True)
class Observed:
    """What is known of the replicas of one API.

    Attributes:
        service: The ECS service.
        ready: How many tasks of the newest deployment serve.
        minimum: ``min_replicas``.
        tasks: Tasks of the service, of any state; may be empty where as many serve as are wanted.
        now: When this was seen.
    """

    service: ServiceTypeDef
    ready: int
    minimum: int
    tasks: Sequence[TaskTypeDef]
    now: datetime


@dataclass(frozen=True)
class Verdict:
    """The status of an API's replicas.

    Attributes:
        reason: Why they are not all there, in one line, where that is known.
        culprit: The task that failed last, where one did.
        waits: Whether they wait for room on an instance.
    """

    status: str
    replicas: Replicas
    reason: str | None = None
    culprit: TaskTypeDef | None = None
    waits: bool = False


def primary_deployment(service: ServiceTypeDef) -> DeploymentTypeDef | None:
    """The deployment that is being rolled out, or that has been."""
    return next((d for d in service["deployments"] if d["status"] == "PRIMARY"), None)


def settled(service: ServiceTypeDef) -> bool:
    """Whether ECS has finished the rollout, runs as many tasks as are wanted, and found all of them healthy since.

    That all run says little: a replica that was added or made up for runs while it loads its model. ECS writes the
    event when every task is healthy, and others when one is started, stopped or fails its checks ("Service event
    messages" of the Amazon ECS Developer Guide).
    """
    primary, events = primary_deployment(service), service.get("events", [])
    return (
        primary is not None
        and primary.get("rolloutState", "COMPLETED") == "COMPLETED"
        and primary["runningCount"] >= service["desiredCount"]
        and bool(events)
        and any(words in events[0]["message"] for words in AT_REST)
    )


def serving(service: ServiceTypeDef, healthy_targets: int) -> int:
    """How many replicas of the newest deployment serve.

    The target group does not say which deployment a target is of. Older replicas pass for healthy, so that this
    is too low rather than too high where one of them is not.
    """
    primary = primary_deployment(service)
    if primary is None:
        return 0
    older = service["runningCount"] - primary["runningCount"]
    return max(0, min(primary["runningCount"], healthy_targets - older))


def judge(observed: Observed) -> Verdict:
    """Decide the status of an API from its replicas."""
    service, requested = observed.service, observed.service["desiredCount"]
    primary = primary_deployment(service)
    current = [task for task in observed.tasks if primary and task.get("startedBy") == primary["id"]]
    enough = observed.ready >= requested
    failures = [] if enough else unmended(current, observed.ready)
    replicas = Replicas(
        requested=requested,
        up_to_date=observed.ready,
        stale=max(0, service["runningCount"] - (primary["runningCount"] if primary else 0)),
        failed=min(len(failures), max(0, requested - observed.ready)),
    )
    if enough:
        return Verdict(LIVE, replicas)
    if failures:
        return Verdict(_failure_status(failures), replicas, stopped_reason(failures[0]), failures[0])
    waited, obstacle = _waiting(observed, current)
    reason = f"waiting for capacity: {obstacle}" if obstacle else None
    status = LIVE if observed.ready >= observed.minimum else UPDATING
    return Verdict(NO_COMPUTE if waited > STALLED_AFTER else status, replicas, reason, waits=obstacle is not None)


def has_failed(task: TaskTypeDef) -> bool:
    """Whether a stopped task failed, rather than being stopped because it was not wanted any more."""
    return task["lastStatus"] == "STOPPED" and (
        task.get("stopCode") in BY_ITSELF or "failed" in task.get("stoppedReason", "")
    )


def unmended(tasks: Sequence[TaskTypeDef], ready: int) -> list[TaskTypeDef]:
    """The tasks that failed after the start of every one that serves, newest first.

    Args:
        tasks: Those of one deployment.
        ready: How many of them serve: the oldest, as those had the most time.
    """
    started = sorted(task["startedAt"] for task in tasks if task["lastStatus"] == "RUNNING" and "startedAt" in task)
    mended = started[min(ready, len(started)) - 1] if ready and started else _BEFORE_ALL
    failures = [task for task in tasks if has_failed(task) and task.get("stoppedAt", mended) >= mended]
    return sorted(failures, key=lambda task: task.get("stoppedAt", _BEFORE_ALL), reverse=True)


def _failure_status(failures: Sequence[TaskTypeDef]) -> str:
    reasons = [f"{task.get('stoppedReason', '')} {stopped_reason(task)}" for task in failures]
    if any("CannotPull" in reason for reason in reasons):
        return ERROR_IMAGE_PULL
    return OUT_OF_MEMORY if all("OutOfMemory" in reason for reason in reasons) else ERROR


def _waiting(observed: Observed, tasks: Sequence[TaskTypeDef]) -> tuple[timedelta, str | None]:
    """For how long a replica has waited for a place, and for what."""
    refused = refusal(observed.service.get("events", []))
    provisioning = [task["createdAt"] for task in tasks if task["lastStatus"] == "PROVISIONING"]
    if refused:
        return observed.now - min([refused.since, *provisioning]), refused.reason
    waited = observed.now - min(provisioning, default=observed.now)
    return waited, "no instance has room for it yet" if waited > WAITING_AFTER else None
