"""Why a replica ended, and whether anybody had asked for that: what ``kubectl get pods`` counts as restarts.

ECS replaces a replica that ended at once, so that neither the status nor the logs of the others show it. ECS answers
about a stopped task for about an hour (API reference of DescribeTasks).
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.config.sections.secret_reference import secret_name

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import TaskTypeDef

STOPPED_SHOWN = 5
SIGNALLED = 128
REQUESTS = frozenset({"ServiceSchedulerInitiated", "UserInitiated"})
"""Stop codes of tasks that somebody stopped. The scheduler also stops tasks that fail their health checks."""
FAILURES = frozenset({"TaskFailedToStart", "EssentialContainerExited"})
UNREADABLE = "unable to retrieve secret"
"""In the reason of a task that did not get a secret ("Stopped tasks error messages")."""
_SECRET = re.compile(r"arn:[a-z-]+:secretsmanager:[^\s,]*[A-Za-z0-9]|arn:[a-z-]+:ssm:[^\s,]*[A-Za-z0-9]")
_KEY = re.compile(r"did not contain json key (\S+)")
FAILED_CHECK = "failed"
"""In the reason of a task that was stopped for its health checks, and of no other one that the scheduler stops."""


class StopCause(Enum):
    """On whose account a task ended."""

    REQUESTED = "a deployment, scaling in, a refresh or a person stopped it"
    LOST = "its instance was taken away"
    FAILED = "its program, its image or its health checks failed"


def stop_cause(task: TaskTypeDef) -> StopCause | None:
    """Decide why a task ended. The one place that knows; everything that counts or shows failures asks here.

    Args:
        task: As ECS describes it.

    Returns:
        None while the task runs. A stop code that is not known counts as ``LOST``: nobody asked for the end, and
        nothing says that the program failed.

    Source: the stop codes of the API reference (``Task.stopCode``), the reasons of "Stopped tasks error messages" in
    the Amazon ECS Developer Guide.
    """
    if task["lastStatus"] != "STOPPED":
        return None
    code, reason = task.get("stopCode"), task.get("stoppedReason", "")
    if code in FAILURES or (code == "ServiceSchedulerInitiated" and FAILED_CHECK in reason):
        return StopCause.FAILED
    return StopCause.REQUESTED if code in REQUESTS else StopCause.LOST


def stopped_reason(task: TaskTypeDef) -> str:
    """Say in one line why a task stopped, from what ECS says of the task and its container."""
    container = (task.get("containers") or [{}])[0]
    reason = container.get("reason") or task.get("stoppedReason") or "no reason given"
    if UNREADABLE in task.get("stoppedReason", ""):
        return without_secret(task["stoppedReason"])
    code = container.get("exitCode")
    if code in (None, 0) or "exit code" in reason:
        return reason
    return f"{reason} (exit code {code}{_signal(code, reason)})"


def _signal(code: int, reason: str) -> str:
    """Name the signal that ended a container, where nothing else says why: 128 and its number make the exit code."""
    with suppress(ValueError):
        if code > SIGNALLED and "OutOfMemory" not in reason:
            return f": {signal.Signals(code - SIGNALLED).name}"
    return ""


def without_secret(reason: str) -> str:
    """Say which secret a replica could not get, from the ``stoppedReason`` of its task."""
    cause = reason.rpartition(" time(s): ")[2]
    arn = _SECRET.search(cause)
    key = _KEY.search(cause)
    what = "a secret"
    if arn:
        what = f"the secret {secret_name(arn[0])}"
    elif key:
        what = f"the key {key[1]} of a secret"
    return f"{what} could not be read ({cause}); see the secrets with: cortex secret list"


def stopped_tasks(cloud: Cloud, cluster: str, api: str) -> list[str]:
    """List the tasks of an API that stopped in the last hour, whether its service is there or not.

    Args:
        cloud: Where to ask.
        cluster: The environment's cluster (not the ECS cluster's name).
        api: The API's name.

    Returns:
        At most 100 ARNs.
    """
    return cloud.ecs.list_tasks(
        cluster=names.ecs_cluster(cluster), family=names.task_family(cluster, api), desiredStatus="STOPPED"
    )["taskArns"]


@dataclass(frozen=True)
class StoppedReplica:
    """One replica that ended unasked.

    Attributes:
        id: The id of its task, which its log lines carry too.
        time: When it stopped.
        reason: One line, with the exit code where that is not 0.
        exit_code: None where its container never started, or was lost with its instance.
        task_definition: ARN of what it ran.
    """

    id: str
    time: datetime
    reason: str
    exit_code: int | None
    task_definition: str = ""

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints of it."""
        return {"id": self.id, "time": self.time.isoformat(), "reason": self.reason, "exit_code": self.exit_code}


def read_stopped(cloud: Cloud, cluster: str, api: str, since: datetime) -> tuple[StoppedReplica, ...]:
    """Read the last replicas of an API that ended unasked: that failed, or were lost with their instance.

    Two calls at most, however many have stopped.

    Args:
        cloud: Where to ask.
        cluster: The environment's cluster (not the ECS cluster's name).
        api: The API's name.
        since: When it was created: the task definitions of a deleted API of that name had the same family.

    Returns:
        At most five, the newest first.
    """
    listed = stopped_tasks(cloud, cluster, api)
    tasks = cloud.ecs.describe_tasks(cluster=names.ecs_cluster(cluster), tasks=listed)["tasks"] if listed else []
    return stopped_unasked(tasks, since)


def stopped_unasked(tasks: Iterable[TaskTypeDef], since: datetime) -> tuple[StoppedReplica, ...]:
    """Pick the last tasks that ended unasked.

    Args:
        tasks: Those of an API, of any state.
        since: Those that were made before are left out.

    Returns:
        At most five, the newest first.
    """
    own = [task for task in tasks if task["createdAt"] >= since]
    found = [_stopped(task) for task in own if stop_cause(task) in (StopCause.FAILED, StopCause.LOST)]
    return tuple(sorted(found, key=lambda replica: replica.time, reverse=True)[:STOPPED_SHOWN])


def _stopped(task: TaskTypeDef) -> StoppedReplica:
    container = (task.get("containers") or [{}])[0]
    return StoppedReplica(
        id=task["taskArn"].rpartition("/")[2],
        time=task.get("stoppedAt") or task["createdAt"],
        reason=stopped_reason(task),
        exit_code=container.get("exitCode"),
        task_definition=task.get("taskDefinitionArn", ""),
    )
