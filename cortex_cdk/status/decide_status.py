"""Decides the status of an API or traffic splitter: ``live``, ``updating``, ``error`` and the others.

Pure: nothing is read here.

    replicas (``status_of_replicas``) -> the state of the stack too (``with_stack``)
    statuses of its members (``status_of_splitter``)

An API is ``live`` when as many replicas of the newest deployment serve as are wanted; while it is scaled out or in,
when at least ``min_replicas`` do. Else it is ``updating``, unless replicas failed (``error``) or have waited for an
instance for ten minutes (``compute unavailable``).

The statuses and their order are those of the original Cortex (cortex.md 4.3). Where Kubernetes tells the state of each
pod, ECS keeps a list of the tasks that stopped; a task that failed counts until a replica that was started later is
ready.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cortex_cdk.replicas.pending import placement_refusal
from cortex_cdk.replicas.stopped import StopCause, stop_cause, stopped_reason
from cortex_cdk.stack_operations.stack import StackState

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import DeploymentTypeDef, ServiceEventTypeDef, ServiceTypeDef, TaskTypeDef
    from mypy_boto3_elbv2.type_defs import TargetHealthDescriptionTypeDef

LIVE = "live"
UPDATING = "updating"
ERROR = "error"
ERROR_IMAGE_PULL = "error (image pull)"
OUT_OF_MEMORY = "error (out of memory)"
NO_COMPUTE = "compute unavailable"
DELETING = "deleting"
UNKNOWN = "unknown"

# Of a splitter's members, the status that comes first here is the splitter's.
WORST_FIRST = (DELETING, UNKNOWN, ERROR_IMAGE_PULL, ERROR, OUT_OF_MEMORY, NO_COMPUTE, UPDATING)

# A replica that waits this long for a place will not get one soon (Cortex's "stalled").
STALLED_AFTER = timedelta(minutes=10)
# An instance that starts takes minutes; only a wait beyond this is worth a word.
WAITING_AFTER = timedelta(seconds=30)

# Newest event of a service whose tasks are all healthy; of an update both come, in either order.
AT_REST = ("has reached a steady state", "deployment completed")
# Ends the event of a deployment that ECS gives up for its alarm, the one on server errors.
ALARM_DETECTED = "deployment failed: alarm detected."
STOPPED = "deployment failed: deployment stopped by user."
"""By ``StopServiceDeployment``: another command of cortex gave it up, such as the next save of ``cortex dev``."""
_BEFORE_ALL = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Replicas:
    """How many replicas an API has.

    Attributes:
        requested: How many are wanted.
        up_to_date: How many of the newest revision can serve.
        stale: How many of earlier revisions run.
        failed: How many of the newest revision failed and have not been replaced.
    """

    requested: int
    up_to_date: int
    stale: int
    failed: int


@dataclass(frozen=True)
class Observed:
    """What was read of the replicas of one API.

    Attributes:
        service: As ECS describes it.
        ready: How many tasks of the newest deployment serve.
        minimum: ``min_replicas``.
        tasks: Tasks of the service, of any state; may be empty where as many serve as are wanted.
        now: When all of this was read.
        targets: Its targets, as the load balancer describes them, where they were read.
    """

    service: ServiceTypeDef
    ready: int
    minimum: int
    tasks: Sequence[TaskTypeDef]
    now: datetime
    targets: Sequence[TargetHealthDescriptionTypeDef] = ()


@dataclass(frozen=True)
class Verdict:
    """The status of an API's replicas.

    Attributes:
        status: Such as ``LIVE``.
        replicas: How many there are.
        reason: Why some are missing, in one line, where that is known.
        failed_task: The task that failed last, where failures are the reason.
        waiting_since: Since when replicas wait for room on an instance; None where none does.
    """

    status: str
    replicas: Replicas
    reason: str | None = None
    failed_task: TaskTypeDef | None = None
    waiting_since: datetime | None = None


@dataclass(frozen=True)
class Variant:
    """An API inside a splitter.

    Attributes:
        name: The API.
        weight: Its share of the requests, in percent.
    """

    name: str
    weight: int


def primary_deployment(service: ServiceTypeDef) -> DeploymentTypeDef | None:
    """Return the deployment that is being rolled out, or that has been; None where there is none."""
    return next((d for d in service["deployments"] if d["status"] == "PRIMARY"), None)


def is_settled(service: ServiceTypeDef) -> bool:
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
    """Count the replicas of the newest deployment that serve.

    The target group does not say which deployment a target is of. Older replicas pass for healthy, so that the number
    is too low rather than too high where one of them is not.

    Args:
        service: As ECS describes it.
        healthy_targets: How many targets of its target group are healthy.
    """
    primary = primary_deployment(service)
    if primary is None:
        return 0
    older = service["runningCount"] - primary["runningCount"]
    return max(0, min(primary["runningCount"], healthy_targets - older))


def status_of_replicas(observed: Observed) -> Verdict:
    """Decide the status of an API's replicas: live, failing, waiting for an instance, or updating."""
    service, requested = observed.service, observed.service["desiredCount"]
    primary = primary_deployment(service)
    current = [task for task in observed.tasks if primary and task.get("startedBy") == primary["id"]]
    enough = observed.ready >= requested
    failures = [] if enough else unreplaced_failures(current, observed.ready)
    replicas = Replicas(
        requested=requested,
        up_to_date=observed.ready,
        stale=max(0, service["runningCount"] - (primary["runningCount"] if primary else 0)),
        failed=min(len(failures), max(0, requested - observed.ready)),
    )
    if enough:
        return Verdict(LIVE, replicas)
    if failures:
        return Verdict(_status_of_failures(failures), replicas, stopped_reason(failures[0]), failures[0])
    waited, obstacle = _wait_for_capacity(observed, current)
    reason = f"waiting for capacity: {obstacle}" if obstacle else None
    status = LIVE if observed.ready >= observed.minimum else UPDATING
    since = observed.now - waited if obstacle else None
    return Verdict(NO_COMPUTE if waited > STALLED_AFTER else status, replicas, reason, waiting_since=since)


def unreplaced_failures(tasks: Sequence[TaskTypeDef], ready: int) -> list[TaskTypeDef]:
    """Pick the tasks that failed after the start of every task that serves.

    Args:
        tasks: Those of one deployment.
        ready: How many of them serve: the oldest, as those had the most time.

    Returns:
        The newest first.
    """
    started = sorted(task["startedAt"] for task in tasks if task["lastStatus"] == "RUNNING" and "startedAt" in task)
    replaced = started[min(ready, len(started)) - 1] if ready and started else _BEFORE_ALL
    # Those that were lost with their instance had replaced what failed before.
    replaced = max(
        [replaced, *(task["startedAt"] for task in tasks if stop_cause(task) is StopCause.LOST and "startedAt" in task)]
    )
    failures = [
        task for task in tasks if stop_cause(task) is StopCause.FAILED and task.get("stoppedAt", replaced) >= replaced
    ]
    return sorted(failures, key=lambda task: task.get("stoppedAt", _BEFORE_ALL), reverse=True)


def _status_of_failures(failures: Sequence[TaskTypeDef]) -> str:
    reasons = [f"{task.get('stoppedReason', '')} {stopped_reason(task)}" for task in failures]
    if any("CannotPull" in reason for reason in reasons):
        return ERROR_IMAGE_PULL
    return OUT_OF_MEMORY if all("OutOfMemory" in reason for reason in reasons) else ERROR


def _wait_for_capacity(observed: Observed, tasks: Sequence[TaskTypeDef]) -> tuple[timedelta, str | None]:
    """For how long a replica has waited for a place, and for what."""
    refused = placement_refusal(observed.service.get("events", []))
    provisioning = [task["createdAt"] for task in tasks if task["lastStatus"] == "PROVISIONING"]
    if refused:
        return observed.now - min([refused.since, *provisioning]), refused.reason
    waited = observed.now - min(provisioning, default=observed.now)
    return waited, "no instance has room for it yet" if waited > WAITING_AFTER else None


def status_of_splitter(variants: Sequence[Variant], members: Mapping[str, str]) -> Verdict:
    """Decide the status of a traffic splitter: the worst of those members that get requests.

    Args:
        variants: The splitter's members with their weights, as its listener rule has them; empty without a rule.
        members: The statuses of APIs by name; a member that is not among them is ``unknown``.
    """
    none = Replicas(0, 0, 0, 0)
    if not variants:
        return Verdict(UNKNOWN, none, "its listener rule is missing")
    statuses = {variant.name: members.get(variant.name, UNKNOWN) for variant in variants if variant.weight}
    for status in WORST_FIRST:
        concerned = [name for name, member in statuses.items() if member == status]
        if concerned:
            return Verdict(status, none, "; ".join(f"{name}: {status}" for name in concerned))
    return Verdict(LIVE, none)


def with_stack(
    stack: StackState, verdict: Verdict, events: Sequence[ServiceEventTypeDef] = ()
) -> tuple[str, str | None]:
    """Decide the status of an API or splitter from that of its replicas or members, and from its stack.

    Args:
        stack: The stack.
        verdict: The status of its replicas or members.
        events: Events of an API's service, the newest first: they tell why ECS has given an update up.

    Returns:
        The status, and its reason in one line, or None where there is nothing to explain.
    """
    if stack.never_worked:
        return ERROR, stack.reason or "its first deployment failed"
    if stack.status == "DELETE_FAILED":
        return ERROR, f"it could not be deleted: {stack.reason}"
    if stack.status.startswith("DELETE_"):
        return DELETING, None
    if verdict.status == UNKNOWN and stack.in_progress:
        return UPDATING, None
    undone = {
        "UPDATE_ROLLBACK_COMPLETE": f"the last update {_end(stack, events)} and was undone; "
        "the revision before it is deployed",
        "UPDATE_ROLLBACK_FAILED": f"the last update failed and could not be undone: {stack.reason}",
    }
    return verdict.status, verdict.reason or undone.get(stack.status)


def _end(stack: StackState, events: Sequence[ServiceEventTypeDef]) -> str:
    said = [event["message"] for event in events if event["createdAt"] >= stack.updated]
    if any(message.endswith(ALARM_DETECTED) for message in said):
        return "failed (its answers were server errors, and an alarm went off)"
    return "was stopped by somebody" if any(message.endswith(STOPPED) for message in said) else "failed"
