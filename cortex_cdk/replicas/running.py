"""The replicas of an API that run now, one by one: revision, state, health, usage, last error.

    tasks -> their definitions (revision), targets (health), newest lines (usage, last error)

What the user may not read is not known, and hides nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from cortex_serving.contract import Variable

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import if_allowed
from cortex_cdk.logs import LogRecord, search
from cortex_cdk.replicas.usage import Usage, read_usage

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import TaskTypeDef

TASKS_A_CALL = 100
ERRORS_OF = timedelta(hours=1)
"""How far to look back for errors: the more records, the longer that takes."""
ERROR_LEVELS = ("ERROR", "CRITICAL")
MEBIBYTE = 2**20


@dataclass(frozen=True)
class LastError:
    """The last error that a replica logged in the last hour.

    Attributes:
        time: When.
        message: One line: of a traceback, the last.
    """

    time: datetime
    message: str

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints of it."""
        return {"time": self.time.isoformat(), "message": self.message}


@dataclass(frozen=True)
class Replica:
    """One replica that runs, or is about to. None stands for what is not known.

    Attributes:
        id: The id of its task, which its log lines carry too.
        revision: The API's revision that it runs.
        state: ECS's word for its state, such as ``running`` or ``pending``.
        health: The load balancer's word, such as ``healthy``, ``initial`` or ``draining``.
        health_reason: Why it is not healthy.
        started: When its program was started.
        memory_limit_bytes: Above that it is ended.
        usage: What it used in the last seconds.
        last_error: The last error that it logged.
    """

    id: str
    revision: str | None
    state: str
    health: str | None
    health_reason: str | None
    started: datetime | None
    memory_limit_bytes: int | None
    usage: Usage | None
    last_error: LastError | None

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -v -o json`` prints of it."""
        usage = self.usage
        return {
            "id": self.id,
            "revision": self.revision,
            "state": self.state,
            "health": self.health,
            "health_reason": self.health_reason,
            "started": self.started.isoformat() if self.started else None,
            "cpu": usage.cpu if usage else None,
            "memory_bytes": usage.memory_bytes if usage else None,
            "memory_limit_bytes": self.memory_limit_bytes,
            "gpus": [gpu.as_json() for gpu in usage.gpus] if usage else [],
            "models": {name: list(versions) for name, versions in usage.models.items()} if usage else {},
            "last_error": self.last_error.as_json() if self.last_error else None,
        }


def read_replicas(cloud: Cloud, cluster: str, api: str, target_group: str | None) -> tuple[Replica, ...]:
    """Read the replicas of an API that run or are about to, the oldest first.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster (not the ECS cluster's name).
        api: The API's name.
        target_group: ARN of its target group; None where it has none yet.
    """
    tasks = _tasks(cloud, names.ecs_cluster(cluster), names.service(api))
    if not tasks:
        return ()
    group = names.log_group(cluster, api)
    with ThreadPoolExecutor(4) as pool:
        revisions = pool.submit(if_allowed, lambda: _revisions(cloud, tasks), {})
        healths = pool.submit(if_allowed, lambda: _healths(cloud, names.ecs_cluster(cluster), tasks, target_group), {})
        usages = pool.submit(if_allowed, lambda: read_usage(cloud, group), {})
        errors = pool.submit(if_allowed, lambda: _errors(cloud, group, tasks), {})
        found = [
            _replica(task, revisions.result(), healths.result(), usages.result(), errors.result()) for task in tasks
        ]
    latest = datetime.max.replace(tzinfo=timezone.utc)
    return tuple(sorted(found, key=lambda replica: (replica.started or latest, replica.id)))


def _tasks(cloud: Cloud, ecs_cluster: str, service: str) -> list[TaskTypeDef]:
    pages = cloud.ecs.get_paginator("list_tasks").paginate(
        cluster=ecs_cluster, serviceName=service, desiredStatus="RUNNING"
    )
    arns = [arn for page in pages for arn in page["taskArns"]]
    batches = (arns[at : at + TASKS_A_CALL] for at in range(0, len(arns), TASKS_A_CALL))
    return [task for batch in batches for task in cloud.ecs.describe_tasks(cluster=ecs_cluster, tasks=batch)["tasks"]]


def _replica(
    task: TaskTypeDef,
    revisions: Mapping[str, str],
    healths: Mapping[str, tuple[str, str | None]],
    usages: Mapping[str, Usage],
    errors: Mapping[str, LastError],
) -> Replica:
    id_ = _id(task)
    usage, (health, reason) = usages.get(id_), healths.get(id_, (None, None))
    container = (task.get("containers") or [{}])[0]
    memory = container.get("memory")
    return Replica(
        id=id_,
        revision=revisions.get(task["taskDefinitionArn"]) or (usage.revision if usage else None),
        state=task["lastStatus"].lower(),
        health=health,
        health_reason=reason,
        started=task.get("startedAt"),
        memory_limit_bytes=int(memory) * MEBIBYTE if memory else None,
        usage=usage,
        last_error=errors.get(id_),
    )


def _id(task: TaskTypeDef) -> str:
    return task["taskArn"].rpartition("/")[2]


def _revisions(cloud: Cloud, tasks: Sequence[TaskTypeDef]) -> dict[str, str]:
    """The revision that each task definition is of: two while an update runs."""
    found = {}
    for arn in {task["taskDefinitionArn"] for task in tasks}:
        (container, *_) = cloud.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"][
            "containerDefinitions"
        ]
        variables = {pair["name"]: pair["value"] for pair in container.get("environment", [])}
        found[arn] = variables.get(Variable.REVISION, "")
    return found


def _healths(
    cloud: Cloud, ecs_cluster: str, tasks: Sequence[TaskTypeDef], target_group: str | None
) -> dict[str, tuple[str, str | None]]:
    """State and reason of each task's target, which is a port of an instance."""
    if target_group is None:
        return {}
    arns = sorted({task["containerInstanceArn"] for task in tasks if task.get("containerInstanceArn")})
    instances: dict[str, str] = {}
    for at in range(0, len(arns), TASKS_A_CALL):
        described = cloud.ecs.describe_container_instances(
            cluster=ecs_cluster, containerInstances=arns[at : at + TASKS_A_CALL]
        )
        instances |= {
            one["containerInstanceArn"]: one.get("ec2InstanceId", "") for one in described["containerInstances"]
        }
    answer = cloud.elbv2.describe_target_health(TargetGroupArn=target_group)
    states = {
        (one["Target"]["Id"], one["Target"].get("Port")): one["TargetHealth"]
        for one in answer["TargetHealthDescriptions"]
    }
    found: dict[str, tuple[str, str | None]] = {}
    for task in tasks:
        instance = instances.get(task.get("containerInstanceArn", ""))
        ports = [port.get("hostPort") for port in _bindings(task)]
        health = next((states[instance, port] for port in ports if instance and (instance, port) in states), None)
        if health:
            found[_id(task)] = (health["State"], health.get("Description"))
    return found


def _bindings(task: TaskTypeDef) -> Iterable[Mapping[str, Any]]:
    return [binding for container in task.get("containers", []) for binding in container.get("networkBindings", [])]


def _errors(cloud: Cloud, group: str, tasks: Sequence[TaskTypeDef]) -> dict[str, LastError]:
    """The last error of each replica."""
    since = max(min(task["createdAt"] for task in tasks), datetime.now(timezone.utc) - ERRORS_OF)
    records = search(cloud, group, ERROR_LEVELS[0], since)
    return {record.replica: LastError(record.time, _line(record)) for record in records if record.level in ERROR_LEVELS}


def _line(record: LogRecord) -> str:
    """The line that says most: the end of a traceback, or the beginning of anything else."""
    lines = [line.strip() for line in (record.message, *record.traceback) for line in line.splitlines() if line.strip()]
    has_traceback = any(line.startswith("Traceback (most recent call last)") for line in lines)
    return (lines[-1] if has_traceback else lines[0]) if lines else ""
