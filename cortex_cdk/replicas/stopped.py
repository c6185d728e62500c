"""Stopped replicas: whether they failed, and why. The only rules about that.

``kubectl get pods`` counts such replicas as restarts. ECS replaces one at once, so that neither the status nor the logs
of running replicas show it. It answers about a stopped task for about an hour (API reference of DescribeTasks).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import TaskTypeDef

STOPPED_SHOWN = 5
# Stop codes (API reference of Task, "stopCode").
BY_THE_SCHEDULER = "ServiceSchedulerInitiated"
BY_ITSELF = frozenset({"TaskFailedToStart", "EssentialContainerExited", "SpotInterruption"})


@dataclass(frozen=True)
class StoppedReplica:
    """One replica that ended unasked.

    Attributes:
        id: Id of its task, which its log stream is named after.
        time: When it stopped.
        reason: One line, with the exit code if that is not 0.
        exit_code: None if its container never started, or was lost with its instance.
    """

    id: str
    time: datetime
    reason: str
    exit_code: int | None

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``cortex get -o json`` prints."""
        return {"id": self.id, "time": self.time.isoformat(), "reason": self.reason, "exit_code": self.exit_code}


def read_stopped(cloud: Cloud, cluster: str, api: str) -> tuple[StoppedReplica, ...]:
    """Read the last replicas of an API that ended unasked, newest first.

    Makes two calls at most, however many have stopped.

    Args:
        cluster: The cluster's name.
        api: The API's name.
    """
    listed = stopped_tasks(cloud, cluster, api)
    tasks = cloud.ecs.describe_tasks(cluster=names.ecs_cluster(cluster), tasks=listed)["tasks"] if listed else []
    found = [_stopped(task) for task in tasks if ended_unasked(task)]
    return tuple(sorted(found, key=lambda replica: replica.time, reverse=True)[:STOPPED_SHOWN])


def stopped_tasks(cloud: Cloud, cluster: str, api: str) -> list[str]:
    """List the tasks of an API that stopped in the last hour, whether its service is there or not.

    Args:
        cluster: The cluster's name.
        api: The API's name.

    Returns:
        ARNs, at most 100.
    """
    return cloud.ecs.list_tasks(
        cluster=names.ecs_cluster(cluster), family=names.task_family(cluster, api), desiredStatus="STOPPED"
    )["taskArns"]


def failed(task: TaskTypeDef) -> bool:
    """Return whether a task has stopped because it could not start, exited, or failed its health check.

    A lost spot instance counts, too. The scheduler stops tasks that fail their health check, and says so in the reason
    ("Stopped tasks error messages" of the Amazon ECS Developer Guide); its other reasons hold no "failed".
    """
    return task["lastStatus"] == "STOPPED" and (
        task.get("stopCode") in BY_ITSELF or "failed" in task.get("stoppedReason", "")
    )


def ended_unasked(task: TaskTypeDef) -> bool:
    """Return whether a task has stopped other than by a deployment, by scaling in or by a refresh.

    Beside tasks that failed, these are tasks that lost their instance, or that somebody stopped by hand.
    """
    return failed(task) or (task["lastStatus"] == "STOPPED" and task.get("stopCode") != BY_THE_SCHEDULER)


def stopped_reason(task: TaskTypeDef) -> str:
    """Return why a task stopped, in one line, from what ECS says of the task and its container."""
    container = (task.get("containers") or [{}])[0]
    reason = container.get("reason") or task.get("stoppedReason") or "no reason given"
    code = container.get("exitCode")
    return f"{reason} (exit code {code})" if code not in (None, 0) and "exit code" not in reason else reason


def _stopped(task: TaskTypeDef) -> StoppedReplica:
    container = (task.get("containers") or [{}])[0]
    return StoppedReplica(
        id=task["taskArn"].rpartition("/")[2],
        time=task.get("stoppedAt") or task["createdAt"],
        reason=stopped_reason(task),
        exit_code=container.get("exitCode"),
    )
