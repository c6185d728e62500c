"""Watches the replicas of an API while its stack is updated, and finds out why they fail.

CloudFormation only says that a service did not become stable. Why is in the stopped tasks, in the
service's events and, for a predictor that raised, in the replica's last log record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.cloud import Cloud
from cortex_cdk.errors import CortexError
from cortex_cdk.logs import fatal_record
from cortex_cdk.services import describe_service

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef, TaskTypeDef

NO_CAPACITY = "unable to place a task"


@dataclass(frozen=True)
class ReplicaFailure:
    """Why a replica stopped.

    Attributes:
        reason: One line.
        details: The traceback, where there is one.
    """

    reason: str
    details: tuple[str, ...] = ()


class RolloutWatcher:
    """Looks at the service of one API again and again.

    Args:
        cluster: The environment's cluster.
        api: The API.
        revision: The revision that is being rolled out; replicas of others are not looked at.
    """

    def __init__(self, cloud: Cloud, cluster: str, api: str, revision: str) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._api = api
        self._revision = revision
        self._looked_at: set[str] = set()
        self._told: set[str] = set()
        self.failure: ReplicaFailure | None = None
        self.capacity_problem: str | None = None

    def look(self) -> list[str]:
        """What is new, in words: replicas that failed, and why one cannot be placed."""
        service = describe_service(self._cloud, self._cluster, self._api)
        if service is None:
            return []
        return self._placement_news(service) + self._failure_news(service)

    def _placement_news(self, service: ServiceTypeDef) -> list[str]:
        primary = next((d for d in service["deployments"] if d["status"] == "PRIMARY"), None)
        if primary is None or primary.get("rolloutState") == "COMPLETED":
            return []
        # Newest first; events from before this deployment say nothing about it.
        problem = next(
            (
                event["message"]
                for event in service.get("events", [])
                if event["createdAt"] >= primary["createdAt"] and NO_CAPACITY in event["message"]
            ),
            None,
        )
        if problem is None or problem == self.capacity_problem:
            return []
        self.capacity_problem = problem
        return [f"waiting for capacity: {problem}"]

    def _failure_news(self, service: ServiceTypeDef) -> list[str]:
        news = []
        for task in self._stopped_tasks(service):
            failure = self._why(task)
            self.failure = self.failure or failure
            # Replicas of one revision mostly fail alike: once is enough.
            if failure.reason not in self._told:
                self._told.add(failure.reason)
                news.append(f"a replica failed: {failure.reason}")
        return news

    def _stopped_tasks(self, service: ServiceTypeDef) -> list[TaskTypeDef]:
        listed = self._cloud.ecs.list_tasks(
            cluster=service["clusterArn"], serviceName=service["serviceName"], desiredStatus="STOPPED"
        )
        fresh = [arn for arn in listed["taskArns"] if arn not in self._looked_at]
        if not fresh:
            return []
        tasks = self._cloud.ecs.describe_tasks(cluster=service["clusterArn"], tasks=fresh)["tasks"]
        ended = [task for task in tasks if task["lastStatus"] == "STOPPED"]
        self._looked_at.update(task["taskArn"] for task in ended)
        primary = next((d["taskDefinition"] for d in service["deployments"] if d["status"] == "PRIMARY"), None)
        return [task for task in ended if task["taskDefinitionArn"] == primary and failed(task)]

    def _why(self, task: TaskTypeDef) -> ReplicaFailure:
        task_id = task["taskArn"].rsplit("/", 1)[-1]
        try:
            record = fatal_record(self._cloud, names.log_group(self._cluster, self._api), self._revision, task_id)
        except CortexError:
            record = None
        if record:
            return ReplicaFailure(record.message, record.traceback)
        return ReplicaFailure(stopped_reason(task))


def failed(task: TaskTypeDef) -> bool:
    """Whether a stopped task stopped by itself, rather than because ECS was asked to stop it."""
    return task.get("stopCode") in ("TaskFailedToStart", "EssentialContainerExited", "SpotInterruption")


def stopped_reason(task: TaskTypeDef) -> str:
    """Why a task stopped, in one line, from what ECS says of the task and its container."""
    container = (task.get("containers") or [{}])[0]
    reason = container.get("reason") or task.get("stoppedReason") or "no reason given"
    code = container.get("exitCode")
    return f"{reason} (exit code {code})" if code not in (None, 0) and "exit code" not in reason else reason
