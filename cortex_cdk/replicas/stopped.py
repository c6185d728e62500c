"""The replicas of an API that ended without being asked to: what ``kubectl get pods`` counts as restarts.

ECS replaces such a replica at once, so that neither the status nor the logs of those that run show it. It answers about
a stopped task for about an hour (API reference of DescribeTasks).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.replicas.rollout import stopped_reason, stopped_tasks

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import TaskTypeDef

STOPPED_SHOWN = 5


@dataclass(frozen=True)
class StoppedReplica:
    """One replica that ended without being asked to.

    Attributes:
        id: The id of its task, which its log lines carry too.
        time: When it stopped.
        reason: One line, with the exit code where that is not 0.
        exit_code: None where its container never started, or was lost with its instance.
    """

    id: str
    time: datetime
    reason: str
    exit_code: int | None

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints of it."""
        return {"id": self.id, "time": self.time.isoformat(), "reason": self.reason, "exit_code": self.exit_code}


def read_stopped(cloud: Cloud, cluster: str, api: str) -> tuple[StoppedReplica, ...]:
    """The last replicas of an API that ended without being asked to, newest first.

    Two calls at most, however many have stopped.

    Args:
        cluster: The cluster's name.
        api: The API's name.
    """
    listed = stopped_tasks(cloud, cluster, api)
    tasks = cloud.ecs.describe_tasks(cluster=names.ecs_cluster(cluster), tasks=listed)["tasks"] if listed else []
    found = [_stopped(task) for task in tasks if task["lastStatus"] == "STOPPED" and unasked(task)]
    return tuple(sorted(found, key=lambda replica: replica.time, reverse=True)[:STOPPED_SHOWN])


def unasked(task: TaskTypeDef) -> bool:
    """Whether a stopped task ended other than by a deployment, by scaling in or by a refresh.

    These three are what the scheduler stops tasks for, beside failed health checks.
    """
    return task.get("stopCode") != "ServiceSchedulerInitiated" or "failed" in task.get("stoppedReason", "")


def _stopped(task: TaskTypeDef) -> StoppedReplica:
    container = (task.get("containers") or [{}])[0]
    return StoppedReplica(
        id=task["taskArn"].rpartition("/")[2],
        time=task.get("stoppedAt") or task["createdAt"],
        reason=stopped_reason(task),
        exit_code=container.get("exitCode"),
    )
