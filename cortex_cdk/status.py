"""Turns what CloudFormation, ECS and ELB say of an API into what a user reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from cortex_cdk import names
from cortex_cdk.cloud import Cloud
from cortex_cdk.deploy.cluster import RunningCluster
from cortex_cdk.deploy.rollout import failed as stopped_by_itself
from cortex_cdk.deploy.rollout import stopped_reason
from cortex_cdk.deploy.stack import StackState, list_stacks, read_stack
from cortex_cdk.errors import NotDeployedError
from cortex_cdk.services import describe_service

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import DeploymentTypeDef, ServiceTypeDef, TaskTypeDef

LIVE = "live"
UPDATING = "updating"
ERROR = "error"
ERROR_IMAGE_PULL = "error (image pull)"
OUT_OF_MEMORY = "error (out of memory)"
NO_COMPUTE = "compute unavailable"
DELETING = "deleting"

# A replica that waits this long for a place will not get one soon (Cortex's "stalled").
STALLED_AFTER = timedelta(minutes=10)

REALTIME_API, TRAFFIC_SPLITTER = "RealtimeAPI", "TrafficSplitter"


@dataclass(frozen=True)
class Replicas:
    """How many replicas there are.

    Attributes:
        requested: How many are wanted.
        up_to_date: How many of the newest revision are ready: they run, and the load balancer finds them healthy.
        stale: How many of earlier revisions run.
        failed: How many of the newest revision stopped by themselves and are not made up for.
    """

    requested: int
    up_to_date: int
    stale: int
    failed: int


@dataclass(frozen=True)
class ApiStatus:
    """One API or splitter, as ``cortex get`` shows it."""

    name: str
    kind: str
    status: str
    endpoint: str
    revision: str
    replicas: Replicas
    last_update: datetime
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The object that ``cortex get -o json`` prints."""
        return {
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "endpoint": self.endpoint,
            "revision": self.revision,
            "replicas": {
                "requested": self.replicas.requested,
                "up_to_date": self.replicas.up_to_date,
                "stale": self.replicas.stale,
                "failed": self.replicas.failed,
            },
            "last_update": self.last_update.isoformat(),
            "reason": self.reason,
        }


def get_api(cloud: Cloud, cluster: RunningCluster, name: str) -> ApiStatus:
    """The status of one API or splitter.

    Raises:
        NotDeployedError: There is none of that name.
    """
    for stack_name in (names.api_stack(cluster.name, name), names.splitter_stack(cluster.name, name)):
        stack = read_stack(cloud, stack_name)
        if stack and stack.status != "REVIEW_IN_PROGRESS":
            return _status(cloud, cluster, stack, name)
    raise NotDeployedError(f"{name} is not deployed", hint="see what is with: cortex get")


def list_apis(cloud: Cloud, cluster: RunningCluster) -> list[ApiStatus]:
    """The status of everything that is deployed, APIs first, by name."""
    found = []
    for prefix in (names.api_stack(cluster.name, ""), names.splitter_stack(cluster.name, "")):
        for stack in list_stacks(cloud, prefix):
            if stack.status != "REVIEW_IN_PROGRESS":
                found.append(_status(cloud, cluster, stack, stack.name.removeprefix(prefix)))
    return found


def _status(cloud: Cloud, cluster: RunningCluster, stack: StackState, name: str) -> ApiStatus:
    is_api = stack.name == names.api_stack(cluster.name, name)
    service = describe_service(cloud, cluster.name, name) if is_api else None
    failures = _failures(cloud, service) if service else []
    replicas = count_replicas(service, healthy_targets(cloud, service), failures) if service else Replicas(0, 0, 0, 0)
    return ApiStatus(
        name=name,
        kind=REALTIME_API if is_api else TRAFFIC_SPLITTER,
        status=_decide(stack, service, replicas, failures),
        endpoint=cluster.url + stack.outputs.get("Endpoint", f"/{name}"),
        revision=stack.parameters.get("Revision", ""),
        replicas=replicas,
        last_update=stack.updated,
        reason=stopped_reason(failures[0]) if failures else None,
    )


def primary_deployment(service: ServiceTypeDef) -> DeploymentTypeDef | None:
    """The deployment that is being rolled out, or that has been."""
    return next((d for d in service["deployments"] if d["status"] == "PRIMARY"), None)


def _failures(cloud: Cloud, service: ServiceTypeDef) -> list[TaskTypeDef]:
    """The tasks of the newest deployment that stopped by themselves, newest first, while any are missing."""
    primary = primary_deployment(service)
    if primary is None or primary["runningCount"] >= service["desiredCount"]:
        return []
    listed = cloud.ecs.list_tasks(
        cluster=service["clusterArn"], serviceName=service["serviceName"], desiredStatus="STOPPED"
    )["taskArns"]
    if not listed:
        return []
    tasks = cloud.ecs.describe_tasks(cluster=service["clusterArn"], tasks=listed)["tasks"]
    ended = [task for task in tasks if task.get("startedBy") == primary["id"] and stopped_by_itself(task)]
    oldest = datetime.min.replace(tzinfo=timezone.utc)
    return sorted(ended, key=lambda task: task.get("stoppedAt", oldest), reverse=True)


def healthy_targets(cloud: Cloud, service: ServiceTypeDef) -> int:
    """How many replicas, of whatever revision, the load balancer sends requests to."""
    groups = [
        balancer["targetGroupArn"] for balancer in service.get("loadBalancers", []) if "targetGroupArn" in balancer
    ]
    targets = [
        target
        for group in groups
        for target in cloud.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    ]
    return sum(target["TargetHealth"]["State"] == "healthy" for target in targets)


def count_replicas(service: ServiceTypeDef, healthy: int, failures: Sequence[TaskTypeDef]) -> Replicas:
    """Count the replicas of a service.

    Args:
        healthy: How many replicas the load balancer finds healthy.
        failures: The tasks of the newest deployment that stopped by themselves.
    """
    primary = primary_deployment(service)
    running = primary["runningCount"] if primary else 0
    up_to_date = min(running, healthy)
    requested = service["desiredCount"]
    return Replicas(
        requested=requested,
        up_to_date=up_to_date,
        stale=max(0, service["runningCount"] - running),
        failed=min(len(failures), max(0, requested - up_to_date)),
    )


def _decide(
    stack: StackState, service: ServiceTypeDef | None, replicas: Replicas, failures: Sequence[TaskTypeDef]
) -> str:
    if stack.never_worked or stack.status == "DELETE_FAILED":
        return ERROR
    if stack.status.startswith("DELETE_"):
        return DELETING
    if service is None:
        # A splitter has no replicas of its own.
        return UPDATING if stack.in_progress else LIVE
    return _service_status(service, replicas, failures)


def _service_status(service: ServiceTypeDef, replicas: Replicas, failures: Sequence[TaskTypeDef]) -> str:
    """The order of Cortex's statuses: what serves counts before what failed."""
    if replicas.up_to_date >= replicas.requested and _settled(service):
        return LIVE
    if failures:
        return _failure_status(failures[0])
    return NO_COMPUTE if _stalled(service) else UPDATING


def _settled(service: ServiceTypeDef) -> bool:
    primary = primary_deployment(service)
    return primary is not None and primary.get("rolloutState", "COMPLETED") == "COMPLETED"


def _failure_status(task: TaskTypeDef) -> str:
    reason = stopped_reason(task)
    if "CannotPull" in reason:
        return ERROR_IMAGE_PULL
    return OUT_OF_MEMORY if "OutOfMemory" in reason else ERROR


def _stalled(service: ServiceTypeDef) -> bool:
    primary = primary_deployment(service)
    if primary is None or service["desiredCount"] <= service["runningCount"]:
        return False
    waited = datetime.now(timezone.utc) - primary["createdAt"]
    return waited > STALLED_AFTER and any("unable to place" in event["message"] for event in service["events"][:5])
