"""Watches the replicas of an API while its stack is updated, and finds out why they fail.

CloudFormation only says that a service did not become stable. Why is in the stopped tasks, in the service's events and,
for a predictor that raised, in the replica's last log record.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cortex_serving.contract import LOADING_EVENT

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import describe_service
from cortex_cdk.aws.launch_failures import LaunchFailure
from cortex_cdk.errors import CortexError
from cortex_cdk.logs import fatal_record, troubles
from cortex_cdk.replicas.pending import group_sizes, placement_refusal, with_outlook
from cortex_cdk.replicas.revisions import NOT_BEGUN, Background, Rollout, rollout_of
from cortex_cdk.replicas.stopped import StopCause, stop_cause, stopped_reason, stopped_tasks

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import DeploymentTypeDef, ServiceTypeDef, TaskTypeDef

NO_ROOM = "no container instance met all of its requirements"
OUTLOOK_SECONDS = 2.0
"""Between two looks at what becomes of replicas that wait."""
FIRST_READING_SECONDS, READING_SECONDS = 15.0, 5.0
"""When the log is read first, and between two readings: replicas say from 15 seconds on what they are doing."""
PLACED_WITHIN = timedelta(seconds=15)
"""ECS places a replica within seconds where an instance has room."""


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
    """Looks at the service of one API again and again. Make it before the rollout begins.

    A rollout may have failed, and ECS gone back to the revision before, between two looks; and a service that never
    worked is gone with its stack. So the watcher does not look at what the service runs now: failed replicas are
    tasks of the API that stopped since the rollout began, and whose task definition did not run before.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        api: The API's name.
        revision: The revision that is being rolled out, where that is known already.
        before: The revision before; the same where replicas stay, None where it is not known.
        tell: Hears at each look how many replicas each revision has; None asks for no health of targets.

    Attributes:
        revision: The revision that is being rolled out.
        failure: Why the first replica failed; None while none has.
        capacity_problem: Why replicas have no place; None where they have one, or never lacked one.
        launch_failure: Why EC2 launches no instance for them; None where it does, or none is needed.
    """

    def __init__(
        self,
        cloud: Cloud,
        cluster: str,
        api: str,
        revision: str = "",
        *,
        before: str | None = None,
        tell: Callable[[Rollout], None] | None = None,
    ) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._api = api
        self.revision = revision
        self._replaced = before
        self._tell = tell
        self._looked_at = set(stopped_tasks(cloud, cluster, api))
        service = describe_service(cloud, cluster, api)
        self._earlier = {deployment["taskDefinition"] for deployment in service["deployments"]} if service else set()
        self._told: set[str] = set()
        self.failure: ReplicaFailure | None = None
        self.capacity_problem: str | None = None
        self.launch_failure: LaunchFailure | None = None
        self._stuck: str | None = None
        self._outlook: str | None = None
        self._next_outlook = 0.0
        self._waiting = 0
        self._failed = 0
        self._begun = False
        self._began = datetime.now(timezone.utc)
        self._next_reading = time.monotonic() + FIRST_READING_SECONDS

    def look(self) -> list[str]:
        """Look once. Returns what is new, in words: replicas that failed, and why one cannot be placed."""
        service = describe_service(self._cloud, self._cluster, self._api)
        news = (self._placement_news(service) if service else []) + self._failure_news() + self._loading_news()
        if self._tell:
            self._tell(self._rollout(service))
        return news

    def _rollout(self, service: ServiceTypeDef | None) -> Rollout:
        """How many replicas each revision has."""
        rollout = rollout_of(
            service,
            self._targets(service) if service else (),
            Background(
                revision=self.revision,
                before=self._replaced,
                earlier=self._earlier,
                begun=self._begun,
                failed=self._failed,
                obstacle=self.failure.reason if self.failure else self._outlook or self.capacity_problem or "",
                is_short=self.capacity_problem is not None,
            ),
        )
        self._begun = self._begun or rollout.new.state != NOT_BEGUN
        return rollout

    def _targets(self, service: ServiceTypeDef) -> list[str]:
        """The states of the targets of a service; none where the user may not ask, or while there is no group."""
        from botocore.exceptions import ClientError

        states = []
        for balancer in service.get("loadBalancers", []):
            with suppress(ClientError):
                found = self._cloud.elbv2.describe_target_health(TargetGroupArn=balancer["targetGroupArn"])
                states += [str(target["TargetHealth"]["State"]) for target in found["TargetHealthDescriptions"]]
        return states

    def _placement_news(self, service: ServiceTypeDef) -> list[str]:
        primary = next((d for d in service["deployments"] if d["status"] == "PRIMARY"), None)
        obstacle = self._obstacle(service, primary) if primary else None
        if primary is None or obstacle is None:
            # What was in the way of a deployment that was given up stays the cause of its end.
            if primary and primary["id"] == self._stuck:
                self.capacity_problem = self.launch_failure = self._outlook = None
            return []
        self.capacity_problem, self._stuck = obstacle, primary["id"]
        if time.monotonic() < self._next_outlook:
            return []
        self._next_outlook = time.monotonic() + OUTLOOK_SECONDS
        sizes = group_sizes(self._cloud, self._cluster, service, primary["createdAt"])
        self.launch_failure = next((size.launch_failure for size in sizes if size.launch_failure), None)
        outlook = with_outlook("", sizes)
        if outlook == self._outlook:
            return []
        self._outlook = outlook
        return [with_outlook(f"waiting for capacity: {NO_ROOM}: {obstacle}", sizes)]

    def _obstacle(self, service: ServiceTypeDef, primary: DeploymentTypeDef) -> str | None:
        """Why a replica of the deployment that runs has no place; None where all have one."""
        if primary.get("rolloutState") == "COMPLETED":
            return None
        # Events from before this deployment say nothing about it.
        refused = placement_refusal(
            [event for event in service.get("events", []) if event["createdAt"] >= primary["createdAt"]]
        )
        if refused:
            return refused.reason
        waiting = self._waiting_tasks(service) if primary["pendingCount"] else 0
        return f"{waiting} of {service['desiredCount']} replicas wait for an instance" if waiting else None

    def _waiting_tasks(self, service: ServiceTypeDef) -> int:
        """How many replicas have waited for an instance for longer than one takes to be chosen."""
        if time.monotonic() < self._next_outlook:
            return self._waiting
        listed = self._cloud.ecs.list_tasks(cluster=service["clusterArn"], serviceName=service["serviceName"])
        arns = listed["taskArns"]
        tasks = self._cloud.ecs.describe_tasks(cluster=service["clusterArn"], tasks=arns)["tasks"] if arns else []
        now = datetime.now(timezone.utc)
        self._waiting = sum(
            task["lastStatus"] == "PROVISIONING" and now - task["createdAt"] > PLACED_WITHIN for task in tasks
        )
        return self._waiting

    def _failure_news(self) -> list[str]:
        news = []
        for task in self._failed_tasks():
            failure = self._why(task)
            self._failed += 1
            self.failure = self.failure or failure
            # Replicas of one revision mostly fail alike: once is enough.
            if failure.reason not in self._told:
                self._told.add(failure.reason)
                news.append(f"a replica failed: {failure.reason}")
        return news

    def _loading_news(self) -> list[str]:
        """What replicas say themselves whose start takes long."""
        from botocore.exceptions import BotoCoreError, ClientError

        if time.monotonic() < self._next_reading:
            return []
        self._next_reading = time.monotonic() + READING_SECONDS
        group = names.log_group(self._cluster, self._api)
        with suppress(ClientError, BotoCoreError, CortexError):
            said = list(troubles(self._cloud.impatient, group, self._began))
            mine = [r for r in said if r.revision == self.revision and r.fields.get("event") == LOADING_EVENT]
            fresh = [f"a replica is {record.message}" for record in mine if record.message not in self._told]
            self._told.update(record.message for record in mine)
            return fresh[-1:]
        return []

    def _failed_tasks(self) -> list[TaskTypeDef]:
        """The tasks of what is being rolled out that failed since the last look."""
        stopped = stopped_tasks(self._cloud, self._cluster, self._api)
        fresh = [arn for arn in stopped if arn not in self._looked_at]
        if not fresh:
            return []
        cluster = names.ecs_cluster(self._cluster)
        tasks = self._cloud.ecs.describe_tasks(cluster=cluster, tasks=fresh)["tasks"]
        causes = {task["taskArn"]: stop_cause(task) for task in tasks}
        self._looked_at.update(arn for arn, cause in causes.items() if cause is not None)
        failed = [task for task in tasks if causes[task["taskArn"]] is StopCause.FAILED]
        return [task for task in failed if task["taskDefinitionArn"] not in self._earlier]

    def _why(self, task: TaskTypeDef) -> ReplicaFailure:
        task_id = task["taskArn"].rsplit("/", 1)[-1]
        try:
            record = fatal_record(self._cloud, names.log_group(self._cluster, self._api), self.revision, task_id)
        except CortexError:
            record = None
        if record:
            return ReplicaFailure(record.message, record.traceback)
        return ReplicaFailure(stopped_reason(task))
