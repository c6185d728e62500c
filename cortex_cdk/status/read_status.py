"""Reads the status of APIs and traffic splitters.

    stacks -> services (ten at a time) -> for APIs that are not settled: target health and tasks -> ``replicas``

What is settled costs no call of its own, so that a list of many APIs is as fast as that of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from cortex_serving.contract import REALTIME_API, TRAFFIC_SPLITTER

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import SERVICES_A_CALL
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.errors import NotDeployedError
from cortex_cdk.replicas.pending import group_sizes, with_outlook
from cortex_cdk.stack_operations.stack import StackState, list_stacks, read_stack
from cortex_cdk.status.rules import (
    DELETING,
    ERROR,
    ERROR_IMAGE_PULL,
    LIVE,
    NO_COMPUTE,
    OUT_OF_MEMORY,
    UNKNOWN,
    UPDATING,
    Observed,
    Replicas,
    Verdict,
    judge,
    primary_deployment,
    serving,
    settled,
)

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef, TaskTypeDef

__all__ = [
    "LIVE",
    "UPDATING",
    "ApiStatus",
    "Replicas",
    "Variant",
    "get_api",
    "list_apis",
    "read_api",
    "read_apis",
    "splitter_of",
]

# Of a splitter's members, the status that comes first here is the splitter's.
WORST_FIRST = (DELETING, UNKNOWN, ERROR_IMAGE_PULL, ERROR, OUT_OF_MEMORY, NO_COMPUTE, UPDATING)
TARGETS_A_CALL, TASKS_A_CALL = 50, 100
PARALLEL_CALLS = 8


@dataclass(frozen=True)
class Variant:
    """An API inside a splitter; ``weight`` is its share of the requests in percent."""

    name: str
    weight: int


@dataclass(frozen=True)
class ApiStatus:
    """One API or splitter, as it is now.

    Attributes:
        endpoint: Its URL.
        last_update: When its stack was last changed.
        reason: Why it is not live, or what became of its last update, where that is known.
        target_group: The ``TargetGroup`` dimension of an API's metrics.
        variants: What a splitter shares its requests out to.
        culprit: Id of the replica that failed last, where that is why the API is not live.
    """

    name: str
    kind: str
    status: str
    endpoint: str
    revision: str
    replicas: Replicas
    last_update: datetime
    reason: str | None = None
    target_group: str | None = None
    variants: tuple[Variant, ...] = ()
    culprit: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints of the status."""
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
    return read_api(cloud, cluster, name) or splitter_of(list_apis(cloud, cluster), name)


def read_api(cloud: Cloud, cluster: RunningCluster, name: str) -> ApiStatus | None:
    """The status of one API, without a look at others; None where there is none of that name."""
    return next(iter(read_apis(cloud, cluster, [name])), None)


def read_apis(cloud: Cloud, cluster: RunningCluster, api_names: Iterable[str]) -> list[ApiStatus]:
    """The status of some APIs, without a look at others; those that are not deployed are left out."""
    stacks = [read_stack(cloud, names.api_stack(cluster.name, name)) for name in api_names]
    return _Reader(cloud, cluster).apis([stack for stack in stacks if stack and stack.status != "REVIEW_IN_PROGRESS"])


def splitter_of(apis: Sequence[ApiStatus], name: str) -> ApiStatus:
    """The splitter of that name, given everything that is deployed.

    Raises:
        NotDeployedError: There is none of that name.
    """
    for api in apis:
        if api.name == name and api.kind == TRAFFIC_SPLITTER:
            return api
    raise NotDeployedError(f"{name} is not deployed", hint="list what is deployed with: cortex get")


def list_apis(cloud: Cloud, cluster: RunningCluster) -> list[ApiStatus]:
    """The status of everything that is deployed: APIs, then splitters, each by name."""
    stacks = [
        stack
        for stack in list_stacks(cloud, f"cortex-{cluster.name}-")
        if stack.status != "REVIEW_IN_PROGRESS" and stack.belongs_to(cluster.name)
    ]
    reader = _Reader(cloud, cluster)
    api_stacks = [stack for stack in stacks if stack.name.startswith(names.api_stack(cluster.name, ""))]
    apis = reader.apis(api_stacks)
    splitter_stacks = [stack for stack in stacks if stack.name.startswith(names.splitter_stack(cluster.name, ""))]
    return apis + reader.splitters(splitter_stacks, apis)


class _Reader:
    """Turns stacks into statuses with as few calls as that takes."""

    def __init__(self, cloud: Cloud, cluster: RunningCluster) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._ecs_cluster = names.ecs_cluster(cluster.name)

    def apis(self, stacks: Sequence[StackState]) -> list[ApiStatus]:
        """The APIs of these stacks."""
        prefix = names.api_stack(self._cluster.name, "")
        name_of = {stack.name: stack.name.removeprefix(prefix) for stack in stacks}
        services = self._services(name_of[stack.name] for stack in stacks if not stack.never_worked)
        verdicts = self._verdicts(services)
        return [self._api(stack, name_of[stack.name], verdicts.get(name_of[stack.name])) for stack in stacks]

    def splitters(self, stacks: Sequence[StackState], apis: Sequence[ApiStatus]) -> list[ApiStatus]:
        """The splitters of these stacks, given all APIs."""
        if not stacks:
            return []
        prefix = names.splitter_stack(self._cluster.name, "")
        weights = self._weights_by_priority(apis)
        statuses = {api.name: api for api in apis}
        found = []
        for stack in stacks:
            variants = weights.get(stack.outputs.get("ListenerRulePriority", ""), ())
            verdict = _judge_splitter(variants, statuses)
            found.append(self._status(stack, stack.name.removeprefix(prefix), TRAFFIC_SPLITTER, verdict, variants))
        return found

    def _api(self, stack: StackState, name: str, verdict: Verdict | None) -> ApiStatus:
        missing = Verdict(
            UPDATING if stack.in_progress else UNKNOWN, Replicas(0, 0, 0, 0), "its ECS service is missing"
        )
        return self._status(stack, name, REALTIME_API, verdict or missing)

    def _status(
        self, stack: StackState, name: str, kind: str, verdict: Verdict, variants: tuple[Variant, ...] = ()
    ) -> ApiStatus:
        status, reason = _with_stack(stack, verdict)
        return ApiStatus(
            name=name,
            kind=kind,
            status=status,
            endpoint=self._cluster.url + stack.outputs.get("Endpoint", f"/{name}"),
            revision=stack.parameters.get("Revision", ""),
            replicas=verdict.replicas,
            last_update=stack.updated,
            reason=reason,
            target_group=stack.outputs.get("TargetGroupFullName"),
            variants=variants,
            culprit=verdict.culprit["taskArn"].rpartition("/")[2] if verdict.culprit else None,
        )

    def _services(self, apis: Iterable[str]) -> dict[str, ServiceTypeDef]:
        found: dict[str, ServiceTypeDef] = {}
        for batch in _batches([names.service(api) for api in apis], SERVICES_A_CALL):
            answer = self._cloud.ecs.describe_services(cluster=self._ecs_cluster, services=batch)
            found.update({s["serviceName"]: s for s in answer["services"] if s["status"] != "INACTIVE"})
        return found

    def _verdicts(self, services: Mapping[str, ServiceTypeDef]) -> dict[str, Verdict]:
        restless = {name: service for name, service in services.items() if not settled(service)}
        minimums = self._minimums(list(restless))
        with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
            observed = pool.map(lambda name: self._observe(services[name], minimums.get(name)), services)
            judged = pool.map(self._judge, observed)
            return dict(zip(services, judged, strict=True))

    def _judge(self, observed: Observed) -> Verdict:
        verdict = judge(observed)
        if not verdict.waits or verdict.reason is None:
            return verdict
        sizes = group_sizes(self._cloud, self._cluster.name, observed.service)
        return replace(verdict, reason=with_outlook(verdict.reason, sizes))

    def _minimums(self, services: Sequence[str]) -> dict[str, int]:
        """``min_replicas`` of services, as Application Auto Scaling has it."""
        minimums = {}
        for batch in _batches([f"service/{self._ecs_cluster}/{service}" for service in services], TARGETS_A_CALL):
            answer = self._cloud.application_autoscaling.describe_scalable_targets(
                ServiceNamespace="ecs", ResourceIds=batch, ScalableDimension="ecs:service:DesiredCount"
            )
            for target in answer["ScalableTargets"]:
                minimums[target["ResourceId"].rpartition("/")[2]] = target["MinCapacity"]
        return minimums

    def _observe(self, service: ServiceTypeDef, known_minimum: int | None) -> Observed:
        now = datetime.now(timezone.utc)
        # While an API is being created it has no scalable target yet: it begins with as many as are wanted.
        minimum = service["desiredCount"] if known_minimum is None else known_minimum
        if settled(service):
            primary = primary_deployment(service)
            return Observed(service, primary["runningCount"] if primary else 0, minimum, (), now)
        ready = serving(service, self._healthy_targets(service))
        tasks = self._tasks(service) if ready < service["desiredCount"] else ()
        return Observed(service, ready, minimum, tasks, now)

    def _healthy_targets(self, service: ServiceTypeDef) -> int:
        groups = [balancer["targetGroupArn"] for balancer in service.get("loadBalancers", [])]
        if not groups:
            return service["runningCount"]
        targets = self._cloud.elbv2.describe_target_health(TargetGroupArn=groups[0])["TargetHealthDescriptions"]
        return sum(target["TargetHealth"]["State"] == "healthy" for target in targets)

    def _tasks(self, service: ServiceTypeDef) -> list[TaskTypeDef]:
        listed: list[str] = []
        for state in ("RUNNING", "STOPPED"):
            pages = self._cloud.ecs.get_paginator("list_tasks").paginate(
                cluster=self._ecs_cluster, serviceName=service["serviceName"], desiredStatus=state
            )
            listed += [arn for page in pages for arn in page["taskArns"]]
        return [
            task
            for batch in _batches(listed, TASKS_A_CALL)
            for task in self._cloud.ecs.describe_tasks(cluster=self._ecs_cluster, tasks=batch)["tasks"]
        ]

    def _weights_by_priority(self, apis: Sequence[ApiStatus]) -> dict[str, tuple[Variant, ...]]:
        """The variants of every weighted rule, as the load balancer has them now."""
        name_of = {api.target_group: api.name for api in apis}
        listener = self._cluster.resources.listener_arn
        pages = self._cloud.elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener)
        weights: dict[str, tuple[Variant, ...]] = {}
        for rule in (rule for page in pages for rule in page["Rules"]):
            for action in rule.get("Actions", []):
                groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
                weights[rule["Priority"]] = tuple(
                    Variant(name_of.get(full_name) or full_name, group.get("Weight", 1))
                    for group in groups
                    for full_name in [group["TargetGroupArn"].rpartition(":")[2]]
                )
        return weights


def _judge_splitter(variants: Sequence[Variant], apis: Mapping[str, ApiStatus]) -> Verdict:
    """The status of a splitter: the worst of those members that get requests."""
    none = Replicas(0, 0, 0, 0)
    if not variants:
        return Verdict(UNKNOWN, none, "its listener rule is missing")
    members = {variant.name: apis.get(variant.name) for variant in variants if variant.weight}
    statuses = {name: api.status if api else UNKNOWN for name, api in members.items()}
    for status in WORST_FIRST:
        concerned = [name for name, its in statuses.items() if its == status]
        if concerned:
            return Verdict(status, none, "; ".join(f"{name}: {status}" for name in concerned))
    return Verdict(LIVE, none)


def _with_stack(stack: StackState, verdict: Verdict) -> tuple[str, str | None]:
    """Status and reason, given the state of the stack too."""
    if stack.never_worked:
        return ERROR, stack.reason or "its first deployment failed"
    if stack.status == "DELETE_FAILED":
        return ERROR, f"it could not be deleted: {stack.reason}"
    if stack.status.startswith("DELETE_"):
        return DELETING, None
    if verdict.status == UNKNOWN and stack.in_progress:
        return UPDATING, None
    undone = {
        "UPDATE_ROLLBACK_COMPLETE": "the last update failed and was undone; the revision before it is deployed",
        "UPDATE_ROLLBACK_FAILED": f"the last update failed and could not be undone: {stack.reason}",
    }
    return verdict.status, verdict.reason or undone.get(stack.status)


def _batches(values: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield list(values[start : start + size])
