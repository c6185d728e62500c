"""Reads everything that may tell what is wrong with an API: a dozen calls, all at once.

What the user may not read tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cortex_serving.contract import FATAL_EVENT, LOADING_EVENT

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import if_allowed
from cortex_cdk.aws.scalable_targets import NAMESPACE, resource_id
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.logs import LogRecord, troubles
from cortex_cdk.replicas.stopped import StoppedReplica, read_stopped, stopped_unasked
from cortex_cdk.stack_operations.events import PastOperation, last_operation
from cortex_cdk.stack_operations.stack import StackState
from cortex_cdk.status.alarms import read_alarms
from cortex_cdk.status.decide_status import ALARM_DETECTED, STOPPED, primary_deployment
from cortex_cdk.status.evidence import OF_STARTS, Evidence, FailedDeployment, ScalingFailure, Signs
from cortex_cdk.status.metrics import Recent, read_recent
from cortex_cdk.status.read_signs import own_error, read_leaving, read_storage_error
from cortex_cdk.status.read_status import Sighting, sight

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceEventTypeDef, ServiceTypeDef, TaskTypeDef

LOOK_BACK = timedelta(minutes=15)
"""How far the log is read back: the record of a start that takes long is repeated within five minutes."""
STARTS_WITHIN = timedelta(seconds=30)
"""A replica that takes longer than half of this says so in its log."""
EVENTS_SHOWN = 3
GAVE_UP, ROLLS_BACK_TO, COMPLETED = "deployment failed:", "rolling back to deployment ", "deployment completed"


def read_evidence(cloud: Cloud, cluster: RunningCluster, name: str, stack: StackState) -> Evidence:
    """Read what is known of an API.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        name: The API's name.
        stack: The API's stack.
    """
    now = datetime.now(timezone.utc)
    group = names.log_group(cluster.name, name)
    with ThreadPoolExecutor(8) as pool:
        sighting = pool.submit(sight, cloud, cluster, name, stack)
        recent = pool.submit(if_allowed, lambda: _recent(cloud, cluster, stack), Recent())
        leaving = pool.submit(if_allowed, lambda: read_leaving(cloud, cluster), ())
        storage = pool.submit(if_allowed, lambda: read_storage_error(cloud, cluster), None)
        alarms = pool.submit(if_allowed, lambda: read_alarms(cloud, cluster.name, name), ())
        scaling = pool.submit(if_allowed, lambda: _scaling(cloud, cluster, name, stack), None)
        logged = pool.submit(_logged, cloud, group, max(stack.created, now - LOOK_BACK))
        past = pool.submit(if_allowed, lambda: _past(cloud, group, stack), None)
        seen = sighting.result()
        stopped = _stopped(cloud, cluster, name, seen)
        targets = [target["TargetHealth"] for target in seen.observed.targets] if seen.observed else []
        known = Evidence(
            now=now,
            api=seen.status,
            signs=Signs(targets, leaving.result(), recent.result(), logged.result().error, storage.result()),
            stopped=stopped,
            deployment=_deployment(stack, past.result(), stopped, seen),
            scaling=scaling.result(),
            alarms=alarms.result(),
            records=logged.result().records,
        )
        return _with_replicas(known, seen)


def _with_replicas(known: Evidence, seen: Sighting) -> Evidence:
    """Add what ECS says of the service and its replicas."""
    if seen.observed is None or seen.verdict is None:
        return known
    primary = primary_deployment(seen.observed.service)
    tasks = [task for task in seen.observed.tasks if task["lastStatus"] == "RUNNING"]
    loading = {one.replica for one in known.records if one.fields.get("event") == LOADING_EVENT}
    own = [task["startedAt"] for task in tasks if primary and task.get("startedBy") == primary["id"]]
    failed = seen.verdict.failed_task
    running = frozenset(map(_id, tasks))
    stopped, records = known.stopped, known.records
    if primary and known.deployment is None:
        # What ended of an earlier revision, or what one logged that is gone, was mended by this one.
        stopped = tuple(one for one in stopped if one.task_definition == primary["taskDefinition"])
        there = {seen.status.revision, *(record.revision for record in records if record.replica in running)}
        records = tuple(one for one in records if one.revision in there or one.fields.get("event") in OF_STARTS)
    return replace(
        known,
        stopped=stopped,
        records=records,
        mended=len(records) < len(known.records),
        serving_since=min(own, default=None) if seen.observed.ready else None,
        waiting_since=seen.verdict.waiting_since,
        sizes=seen.sizes,
        failed_at=failed.get("stoppedAt", failed["createdAt"]) if failed else None,
        running=running,
        starting=frozenset(
            _id(task) for task in tasks if _id(task) in loading or known.now - task["startedAt"] < STARTS_WITHIN
        ),
        events=tuple((event["createdAt"], event["message"]) for event in _events(seen.observed.service)[:EVENTS_SHOWN]),
    )


def _id(task: TaskTypeDef) -> str:
    return task["taskArn"].rpartition("/")[2]


def _events(service: ServiceTypeDef) -> Sequence[ServiceEventTypeDef]:
    return service.get("events", [])


def _recent(cloud: Cloud, cluster: RunningCluster, stack: StackState) -> Recent:
    group = stack.outputs.get(names.Output.TARGET_GROUP_FULL_NAME)
    return read_recent(cloud, cluster.resources.load_balancer_full_name, group) if group else Recent()


def _scaling(cloud: Cloud, cluster: RunningCluster, name: str, stack: StackState) -> ScalingFailure | None:
    answer = cloud.application_autoscaling.describe_scaling_activities(
        ServiceNamespace=NAMESPACE,
        ResourceId=resource_id(names.ecs_cluster(cluster.name), names.service(name)),
        MaxResults=1,
    )
    for activity in answer["ScalingActivities"][:1]:
        if activity["StatusCode"] == "Failed" and activity["StartTime"] >= stack.created:
            return ScalingFailure(activity["StartTime"], activity.get("StatusMessage") or activity["Description"])
    return None


@dataclass(frozen=True)
class _Logged:
    """Errors in the log; ``error`` where the log does not answer."""

    records: tuple[LogRecord, ...] = ()
    error: str | None = None


def _logged(cloud: Cloud, group: str, since: datetime) -> _Logged:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return _Logged(tuple(troubles(cloud.impatient, group, since)))
    except ClientError as error:
        return _Logged(error=own_error(error))
    except BotoCoreError:
        return _Logged()


@dataclass(frozen=True)
class _Past:
    """The last operation on a stack, and what replicas said last in its time."""

    operation: PastOperation
    last_words: LogRecord | None


def _past(cloud: Cloud, group: str, stack: StackState) -> _Past | None:
    """Read what became of the last operation on a stack, if it failed."""
    if not stack.failed:
        return None
    operation = last_operation(cloud, stack.id or stack.name)
    if operation is None:
        return None
    began = operation.began or stack.updated
    records = if_allowed(lambda: [*troubles(cloud, group, began, operation.ended)], list[LogRecord]())
    return _Past(operation, next((one for one in records if one.fields.get("event") == FATAL_EVENT), None))


def _deployment(
    stack: StackState, past: _Past | None, stopped: Sequence[StoppedReplica], seen: Sighting
) -> FailedDeployment | None:
    """Say why the last deployment failed: by a replica's last words, else by its end, else by CloudFormation."""
    if past is None:
        return failed_rollout(_events(seen.observed.service), stack.updated) if seen.observed else None
    operation, said = past.operation, past.last_words
    undone = stack.status == "UPDATE_ROLLBACK_COMPLETE"
    at = operation.cause.time if operation.cause else operation.ended
    if said:
        return FailedDeployment(at, said.message, undone)
    began = operation.began or stack.updated
    ended = next((one for one in reversed(stopped) if began <= one.time <= operation.ended), None)
    if ended:
        return FailedDeployment(at, ended.reason, undone)
    cause = operation.cause
    if cause and cause.is_interruption and undone:
        return None  # nothing failed: another deployment came, or somebody wanted the one before back
    if cause is None:
        return FailedDeployment(at, stack.reason or "somebody gave it up", undone)
    return FailedDeployment(at, cause.explanation, undone, cause.remedy or "")


def failed_rollout(events: Sequence[ServiceEventTypeDef], since: datetime) -> FailedDeployment | None:
    """Find a rollout that ECS gave up without CloudFormation, such as that of ``cortex refresh``.

    Args:
        events: Of the service, the newest first.
        since: When the stack was changed last: what failed before was followed by a deployment.

    Returns:
        None where no rollout failed, or a later one has completed.
    """
    returned_to = None
    for event in events:
        message = event["message"]
        if event["createdAt"] < since:
            return None
        if ROLLS_BACK_TO in message:
            returned_to = message.partition(ROLLS_BACK_TO)[2].rstrip(".")
        elif (COMPLETED in message and not _completes_a_return(message, events)) or message.endswith(STOPPED):
            return None
        elif GAVE_UP in message:
            why = "its answers were server errors" if message.endswith(ALARM_DETECTED) else message.partition(": ")[2]
            return FailedDeployment(event["createdAt"], why.rstrip("."), returned_to is not None)
    return None


def _completes_a_return(message: str, events: Sequence[ServiceEventTypeDef]) -> bool:
    """Whether an event ends a return to an earlier deployment, rather than a deployment that somebody asked for."""
    targets = (e["message"].partition(ROLLS_BACK_TO)[2].rstrip(".") for e in events if ROLLS_BACK_TO in e["message"])
    return any(target in message for target in targets)


def _stopped(cloud: Cloud, cluster: RunningCluster, name: str, seen: Sighting) -> tuple[StoppedReplica, ...]:
    if seen.observed is None:
        return if_allowed(lambda: read_stopped(cloud, cluster.name, name, seen.stack.created), ())
    return stopped_unasked(seen.observed.tasks, seen.stack.created)
