"""Reads the status of APIs and traffic splitters.

    stacks -> services (ten with a call) -> for APIs that are not settled: target health and tasks -> ``decide_status``

An API that is settled costs no call of its own, so that a list of many is as fast as a list of one.
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
from cortex_cdk.aws.ecs_services import describe_services
from cortex_cdk.aws.scalable_targets import read_bounds
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.errors import NotDeployedError
from cortex_cdk.replicas.pending import GroupSize, group_sizes, with_outlook
from cortex_cdk.stack_operations.stack import StackState, list_resource_stacks, read_stack
from cortex_cdk.status.decide_status import (
    ERROR,
    LIVE,
    UNKNOWN,
    UPDATING,
    Observed,
    Replicas,
    Variant,
    Verdict,
    is_settled,
    primary_deployment,
    serving,
    status_of_replicas,
    status_of_splitter,
    with_stack,
)

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceEventTypeDef, ServiceTypeDef, TaskTypeDef
    from mypy_boto3_elbv2.type_defs import TargetHealthDescriptionTypeDef

__all__ = [
    "ERROR",
    "LIVE",
    "UPDATING",
    "ApiStatus",
    "Replicas",
    "Sighting",
    "Variant",
    "get_api",
    "list_apis",
    "read_api",
    "read_apis",
    "sight",
    "splitter_of",
]

TASKS_A_CALL = 100
PARALLEL_CALLS = 8


@dataclass(frozen=True)
class ApiStatus:
    """One API or traffic splitter, as it is now.

    Attributes:
        name: Its name.
        kind: ``RealtimeAPI`` or ``TrafficSplitter``.
        status: Such as ``live``.
        endpoint: Its URL.
        revision: The revision that is deployed, or being deployed (empty for a splitter).
        replicas: How many an API has.
        created: When its stack was made: what was counted or logged before is of a deleted API of that name.
        last_update: When its stack was last changed.
        reason: Why it is not live, or what became of its last update, where that is known.
        target_group: The ``TargetGroup`` dimension of an API's metrics.
        variants: The APIs of a splitter.
        failed_replica: Id of the replica that failed last, where failures are why the API is not live.
        auth: Who may send requests, as ``networking.auth`` of its stack says; None where everybody may.
        digest: What the template of its stack is known by (``synthesis.deployed_configuration``).
    """

    name: str
    kind: str
    status: str
    endpoint: str
    revision: str
    replicas: Replicas
    created: datetime
    last_update: datetime
    reason: str | None = None
    target_group: str | None = None
    variants: tuple[Variant, ...] = ()
    failed_replica: str | None = None
    auth: str | None = None
    digest: str = ""

    def __repr__(self) -> str:
        if self.kind == TRAFFIC_SPLITTER:
            what, counts = "traffic splitter", ", ".join(variant.name for variant in self.variants)
        else:
            what, counts = "API", f"{self.replicas.up_to_date}/{self.replicas.requested}"
        reason = f": {self.reason}" if self.reason else ""
        return (
            f"<{' '.join(filter(None, [what, self.name, self.status, counts, self.revision, self.endpoint]))}{reason}>"
        )

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


@dataclass(frozen=True)
class Sighting:
    """What the status of one API was decided from.

    Attributes:
        status: The status.
        stack: The API's stack.
        observed: What was read of its service; None where there is none.
        verdict: What was decided from that; None without a service.
        sizes: The instance groups that its replicas wait for; empty where none waits.
    """

    status: ApiStatus
    stack: StackState
    observed: Observed | None = None
    verdict: Verdict | None = None
    sizes: tuple[GroupSize, ...] = ()


def get_api(cloud: Cloud, cluster: RunningCluster, name: str) -> ApiStatus:
    """Read the status of one API or splitter.

    Raises:
        NotDeployedError: There is none of that name.
    """
    return read_api(cloud, cluster, name) or splitter_of(list_apis(cloud, cluster), name)


def read_api(cloud: Cloud, cluster: RunningCluster, name: str) -> ApiStatus | None:
    """Read the status of one API, and look at no other; None where there is none of that name."""
    return next(iter(read_apis(cloud, cluster, [name])), None)


def read_apis(cloud: Cloud, cluster: RunningCluster, api_names: Iterable[str]) -> list[ApiStatus]:
    """Read the status of some APIs, and look at no others; those that are not deployed are left out."""
    stacks = {name: read_stack(cloud, names.api_stack(cluster.name, name)) for name in api_names}
    there = {name: stack for name, stack in stacks.items() if stack and stack.status != "REVIEW_IN_PROGRESS"}
    return _Reader(cloud, cluster).apis(there)


def sight(cloud: Cloud, cluster: RunningCluster, name: str, stack: StackState) -> Sighting:
    """Read the status of one API, with what it was decided from, and all tasks and targets.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        name: The API's name.
        stack: The API's stack.
    """
    return _Reader(cloud, cluster, thorough=True).sightings({name: stack})[0]


def splitter_of(apis: Sequence[ApiStatus], name: str) -> ApiStatus:
    """Pick the splitter of that name.

    Args:
        apis: The status of everything that is deployed.
        name: The splitter's name.

    Raises:
        NotDeployedError: There is none of that name.
    """
    for api in apis:
        if api.name == name and api.kind == TRAFFIC_SPLITTER:
            return api
    raise NotDeployedError.among(name, [api.name for api in apis])


def list_apis(cloud: Cloud, cluster: RunningCluster) -> list[ApiStatus]:
    """Read the status of everything that is deployed: APIs, then splitters, each by name."""
    stacks: dict[str, dict[str, StackState]] = {REALTIME_API: {}, TRAFFIC_SPLITTER: {}}
    for resource, stack in list_resource_stacks(cloud, cluster.name):
        if stack.status != "REVIEW_IN_PROGRESS":
            stacks[resource.kind][resource.name] = stack
    reader = _Reader(cloud, cluster)
    apis = reader.apis(stacks[REALTIME_API])
    return apis + reader.splitters(stacks[TRAFFIC_SPLITTER], apis)


class _Reader:
    """Turns stacks into statuses with as few calls as that takes.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        thorough: Whether tasks and targets are read where the status does not depend on them, too.
    """

    def __init__(self, cloud: Cloud, cluster: RunningCluster, *, thorough: bool = False) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._thorough = thorough
        self._ecs_cluster = names.ecs_cluster(cluster.name)

    def apis(self, stacks: Mapping[str, StackState]) -> list[ApiStatus]:
        """Read the status of APIs, given their stacks by name."""
        return [sighting.status for sighting in self.sightings(stacks)]

    def sightings(self, stacks: Mapping[str, StackState]) -> list[Sighting]:
        """Read the status of APIs, given their stacks by name, with what the status was decided from."""
        deployed = [name for name, stack in stacks.items() if not stack.never_worked]
        services = describe_services(self._cloud, self._cluster.name, deployed)
        observed = self._observed(services)
        with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
            decided = dict(zip(observed, pool.map(self._decide, observed.values()), strict=True))
        return [
            Sighting(
                self._api(stack, name, decided[name][0] if name in decided else None, services.get(name)),
                stack,
                observed.get(name),
                *decided.get(name, ()),
            )
            for name, stack in stacks.items()
        ]

    def splitters(self, stacks: Mapping[str, StackState], apis: Sequence[ApiStatus]) -> list[ApiStatus]:
        """Read the status of splitters, given their stacks by name, and all APIs."""
        if not stacks:
            return []
        weights = self._weights_by_priority(apis)
        statuses = {api.name: api.status for api in apis}
        found = []
        for name, stack in stacks.items():
            variants = weights.get(stack.outputs.get(names.Output.LISTENER_RULE_PRIORITY, ""), ())
            verdict = status_of_splitter(variants, statuses)
            found.append(self._status(stack, name, TRAFFIC_SPLITTER, verdict, variants=variants))
        return found

    def _api(self, stack: StackState, name: str, verdict: Verdict | None, service: ServiceTypeDef | None) -> ApiStatus:
        missing = Verdict(
            UPDATING if stack.in_progress else UNKNOWN, Replicas(0, 0, 0, 0), "its ECS service is missing"
        )
        events = service.get("events", []) if service else []
        return self._status(stack, name, REALTIME_API, verdict or missing, events=events)

    def _status(
        self,
        stack: StackState,
        name: str,
        kind: str,
        verdict: Verdict,
        *,
        variants: tuple[Variant, ...] = (),
        events: Sequence[ServiceEventTypeDef] = (),
    ) -> ApiStatus:
        status, reason = with_stack(stack, verdict, events)
        return ApiStatus(
            name=name,
            kind=kind,
            status=status,
            endpoint=self._cluster.url + stack.outputs.get(names.Output.ENDPOINT, f"/{name}"),
            revision=stack.parameters.get(names.Parameter.REVISION, ""),
            replicas=verdict.replicas,
            created=stack.created,
            last_update=stack.updated,
            reason=reason,
            target_group=stack.outputs.get(names.Output.TARGET_GROUP_FULL_NAME),
            variants=variants,
            auth=stack.outputs.get(names.Output.AUTH),
            digest=stack.outputs.get(names.Output.SPEC_DIGEST, ""),
            failed_replica=verdict.failed_task["taskArn"].rpartition("/")[2] if verdict.failed_task else None,
        )

    def _observed(self, services: Mapping[str, ServiceTypeDef]) -> dict[str, Observed]:
        restless = [name for name, service in services.items() if not is_settled(service)]
        minimums = self._minimums(restless)
        with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
            observed = pool.map(lambda name: self._observe(services[name], minimums.get(name)), services)
            return dict(zip(services, observed, strict=True))

    def _decide(self, observed: Observed) -> tuple[Verdict, tuple[GroupSize, ...]]:
        verdict = status_of_replicas(observed)
        if verdict.waiting_since is None or verdict.reason is None:
            return verdict, ()
        sizes = group_sizes(self._cloud, self._cluster.name, observed.service, verdict.waiting_since)
        return replace(verdict, reason=with_outlook(verdict.reason, sizes)), tuple(sizes)

    def _minimums(self, apis: Iterable[str]) -> dict[str, int]:
        """``min_replicas`` of APIs, as Application Auto Scaling has it."""
        api_of = {names.service(api): api for api in apis}
        bounds = read_bounds(self._cloud, self._ecs_cluster, api_of)
        return {api_of[service]: found.least for service, found in bounds.items()}

    def _observe(self, service: ServiceTypeDef, known_minimum: int | None) -> Observed:
        now = datetime.now(timezone.utc)
        # While an API is being created it has no scalable target yet: it begins with as many as are wanted.
        minimum = service["desiredCount"] if known_minimum is None else known_minimum
        settled, primary = is_settled(service), primary_deployment(service)
        targets = None if settled and not self._thorough else self._targets(service)
        if settled:
            ready = primary["runningCount"] if primary else 0
        else:
            ready = serving(service, service["runningCount"] if targets is None else _healthy(targets))
        tasks = self._tasks(service) if self._thorough or ready < service["desiredCount"] else ()
        return Observed(service, ready, minimum, tasks, now, tuple(targets or ()))

    def _targets(self, service: ServiceTypeDef) -> Sequence[TargetHealthDescriptionTypeDef] | None:
        """The targets of a service; None for one that no load balancer knows."""
        groups = [balancer["targetGroupArn"] for balancer in service.get("loadBalancers", [])]
        if not groups:
            return None
        return self._cloud.elbv2.describe_target_health(TargetGroupArn=groups[0])["TargetHealthDescriptions"]

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


def _healthy(targets: Sequence[TargetHealthDescriptionTypeDef]) -> int:
    return sum(target["TargetHealth"]["State"] == "healthy" for target in targets)


def _batches(values: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield list(values[start : start + size])
