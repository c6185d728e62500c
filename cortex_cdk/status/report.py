"""Collects everything that ``cortex get`` shows: status, traffic, predictions, scaling, where to look further."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar, cast

from cortex_serving.contract import REALTIME_API, TRAFFIC_SPLITTER

from cortex_cdk import log_groups, names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.console_links import Links, links
from cortex_cdk.aws.errors import if_allowed
from cortex_cdk.aws.scalable_targets import read_bounds
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.errors import NotDeployedError
from cortex_cdk.logs import LogRecord, fatal_record, troubles
from cortex_cdk.replicas.missing_permissions import with_remedy
from cortex_cdk.replicas.running import Replica, read_replicas
from cortex_cdk.replicas.stopped import StoppedReplica, read_stopped
from cortex_cdk.replicas.usage import Usage, read_usage
from cortex_cdk.status.alarms import Alarm, read_alarms
from cortex_cdk.status.causes import Cause, causes_of, long_start
from cortex_cdk.status.decide_status import ERROR
from cortex_cdk.status.metrics import (
    CountedByReplicas,
    Recent,
    Traffic,
    read_counted_by_replicas,
    read_counted_until,
    read_forwarded,
    read_recent,
    read_traffic,
)
from cortex_cdk.status.read_signs import read_signs
from cortex_cdk.status.read_status import (
    UPDATING,
    ApiStatus,
    Variant,
    list_apis,
    read_api,
    splitter_of,
)
from cortex_cdk.status.scaling_activities import ScalingActivity, read_scaling_activities
from cortex_cdk.synthesis.deployed_configuration import read_configuration, without_values_of_env

Measured = TypeVar("Measured")
# CloudWatch has a point a minute and charges for each that is read: watching must not ask every two seconds.
METRICS_KEPT_SECONDS = 20.0
STARTS_REPORTED = timedelta(minutes=5)
"""A replica whose start takes long says so again within this time."""


@dataclass(frozen=True)
class Member:
    """An API in a splitter: what it should get, what it got.

    Attributes:
        weight: The share of the splitter's requests asked for, in percent.
        served: How many requests by way of splitters its replicas counted since the splitter's last change; None
            where that was not asked for.
        share: These in percent of all members'; None before the first of them.
        also_in: Other splitters whose requests are in ``served`` too.
    """

    name: str
    weight: int
    served: int | None
    share: float | None
    also_in: tuple[str, ...]
    report: Report | None

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints of it."""
        api = self.report
        return {
            "name": self.name,
            "weight": self.weight,
            "served": self.served,
            "share_served": None if self.share is None else round(self.share, 2),
            "also_in": list(self.also_in),
            "status": api.api.status if api else None,
            "metrics": api.traffic.as_json() if api and api.traffic else None,
        }


@dataclass(frozen=True)
class Report:
    """One API or splitter with what was measured of it.

    Attributes:
        traffic: The requests to an API, whether by its own endpoint or a splitter's.
        counted_until: Every request until then is in ``traffic``; None where that was not asked for, or is not known.
        counted: What an API's replicas counted: predictions, batches.
        usage: What each of an API's replicas used in the last seconds, as far as they tell.
        replicas: An API's replicas that run; None where they were not asked for.
        maximum: ``max_replicas`` of an API that has so many, and may have fewer; None for others.
        stopped: The last replicas of an API that ended without being asked to.
        alarms: An API's alarms that have gone off.
        causes: What else is wrong with an API.
        members: A splitter's APIs.
        links: Pages of the AWS console; None where there is no console.
        configuration: An API's fields of ``cortex.yaml``, with their defaults; None where they were not asked for.
    """

    api: ApiStatus
    traffic: Traffic | None = None
    counted_until: datetime | None = None
    counted: CountedByReplicas = field(default_factory=CountedByReplicas)
    usage: tuple[Usage, ...] = ()
    replicas: tuple[Replica, ...] | None = None
    activities: tuple[ScalingActivity, ...] = ()
    maximum: int | None = None
    stopped: tuple[StoppedReplica, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    causes: tuple[Cause, ...] = ()
    members: tuple[Member, ...] = ()
    links: Links | None = None
    configuration: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        if self.traffic is None:
            return repr(self.api)
        counts = (self.traffic.answers_2xx, self.traffic.answers_4xx, self.traffic.answers_5xx)
        return f"{repr(self.api).removesuffix('>')}; answers 2xx {counts[0]}, 4xx {counts[1]}, 5xx {counts[2]}>"

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints."""
        document = self.api.as_json()
        if self.api.kind == TRAFFIC_SPLITTER:
            return {**document, "variants": [member.as_json() for member in self.members]}
        return {
            **document,
            "metrics": self.traffic.as_json() if self.traffic else None,
            "counted_until": self.counted_until.isoformat() if self.counted_until else None,
            "monitoring": self.counted.predictions.as_json() if self.counted.predictions else None,
            "batching": self.counted.batching.as_json() if self.counted.batching else None,
            "usage": _usage_as_json(self.usage),
            "scaling_activities": [activity.as_json() for activity in self.activities],
            "stopped_replicas": [replica.as_json() for replica in self.stopped],
            "alarms": [alarm.as_json() for alarm in self.alarms],
            "causes": [cause.as_json() for cause in self.causes],
            **({} if self.replicas is None else {"running_replicas": [one.as_json() for one in self.replicas]}),
            **({} if self.configuration is None else {"configuration": self.configuration}),
        }


class Reporter:
    """Reads reports of one cluster. Asked again and again, it reads metrics every 20 seconds only.

    Args:
        cloud: A session of the environment.
        cluster: The cluster.
    """

    def __init__(self, cloud: Cloud, cluster: RunningCluster) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._known: dict[Hashable, tuple[float, object]] = {}

    def all(self) -> list[Report]:
        """Report everything that is deployed, without the parts that only an API's own report has."""
        apis = list_apis(self._cloud, self._cluster)
        traffic, until = self._read_traffic(apis), self._read_counted_until(apis)
        reports = {api.name: _with_traffic(api, traffic, until) for api in apis if api.kind == REALTIME_API}
        splitters = [api for api in apis if api.kind == TRAFFIC_SPLITTER]
        return [*reports.values(), *(Report(api, members=_members(api, splitters, None, reports)) for api in splitters)]

    def one(self, name: str, *, detailed: bool = False) -> Report:
        """Report everything about one API or splitter.

        Args:
            name: The API or splitter.
            detailed: Whether an API's replicas, and the fields of its ``cortex.yaml``, are reported, too.

        Raises:
            NotDeployedError: There is none of that name.
        """
        api = read_api(self._cloud, self._cluster, name)
        if api:
            return self._api(api, detailed=detailed)
        everything = list_apis(self._cloud, self._cluster)
        try:
            return self._splitter(splitter_of(everything, name), everything)
        except NotDeployedError as error:
            if log_groups.is_kept(self._cloud, self._cluster.name, name):
                raise NotDeployedError(error.message, hint=f"see what became of it with: cortex why {name}") from None
            raise

    def _api(self, api: ApiStatus, *, detailed: bool) -> Report:
        with ThreadPoolExecutor(8) as pool:
            configuration = pool.submit(self._configuration, api) if detailed else None
            replicas = pool.submit(self._replicas, api) if detailed else None
            usage = pool.submit(self._read_usage, api)
            traffic = pool.submit(self._read_traffic, [api])
            recent = pool.submit(self._read_recent, api)
            counted = pool.submit(self._read_counted, api)
            activities = pool.submit(read_scaling_activities, self._cloud, self._cluster.name, api)
            maximum = pool.submit(self._reached_maximum, api)
            explained = pool.submit(self._explained, api)
            stopped = pool.submit(read_stopped, self._cloud, self._cluster.name, api.name, api.created)
            alarms = pool.submit(read_alarms, self._cloud, self._cluster.name, api.name)
            start = pool.submit(self._long_start, api)
            signs = pool.submit(read_signs, self._cloud, self._cluster, api, recent.result)
            return Report(
                explained.result(),
                traffic=traffic.result().get(api.target_group or ""),
                counted_until=recent.result().counted_until,
                counted=counted.result(),
                activities=activities.result(),
                maximum=maximum.result(),
                stopped=stopped.result(),
                alarms=alarms.result(),
                causes=start.result() + causes_of(signs.result()),
                usage=usage.result(),
                replicas=replicas.result() if replicas else None,
                configuration=configuration.result() if configuration else None,
                links=links(self._cloud, self._cluster.name, api.name),
            )

    def _replicas(self, api: ApiStatus) -> tuple[Replica, ...]:
        group = self._cluster.target_group_arn(api.target_group) if api.target_group else None
        return read_replicas(self._cloud, self._cluster.name, api.name, group)

    def _read_usage(self, api: ApiStatus) -> tuple[Usage, ...]:
        group = names.log_group(self._cluster.name, api.name)
        return if_allowed(lambda: tuple(read_usage(self._cloud, group).values()), ())

    def _configuration(self, api: ApiStatus) -> Mapping[str, Any]:
        return without_values_of_env(read_configuration(self._cloud, self._cluster.resources.bucket, api.digest))

    def _splitter(self, splitter: ApiStatus, apis: Sequence[ApiStatus]) -> Report:
        variants = [variant.name for variant in splitter.variants]
        members = [api for api in apis if api.name in variants]
        traffic = self._read_traffic(members)
        reports = {api.name: _with_traffic(api, traffic, {}) for api in members}
        counted = self._read_forwarded(splitter)
        others = [api for api in apis if api.kind == TRAFFIC_SPLITTER]
        return Report(
            splitter,
            members=_members(splitter, others, counted, reports),
            links=links(self._cloud, self._cluster.name, None),
        )

    def _explained(self, api: ApiStatus) -> ApiStatus:
        """The status with the replica's own last words as reason, where it had any."""
        from botocore.exceptions import BotoCoreError, ClientError

        if api.status != ERROR or api.failed_replica is None:
            return api
        group = names.log_group(self._cluster.name, api.name)
        try:
            record = fatal_record(self._cloud, group, api.revision, api.failed_replica)
        except (ClientError, BotoCoreError):
            # The reason that ECS gives is there all the same.
            return api
        return replace(api, reason=with_remedy(record.message)) if record else api

    def _long_start(self, api: ApiStatus) -> tuple[Cause, ...]:
        """What a replica does whose start takes long, while the API is not live yet."""
        if api.status != UPDATING:
            return ()
        group, since = names.log_group(self._cluster.name, api.name), datetime.now(timezone.utc) - STARTS_REPORTED
        records = if_allowed(lambda: [*troubles(self._cloud.impatient, group, since)], list[LogRecord]())
        found = long_start([record for record in records if record.revision == api.revision])
        return (found,) if found else ()

    def _read_traffic(self, apis: Sequence[ApiStatus]) -> dict[str, Traffic]:
        groups = tuple(api.target_group for api in apis if api.target_group)
        balancer = self._cluster.resources.load_balancer_full_name
        return self._lately(groups, lambda: read_traffic(self._cloud, balancer, groups))

    def _read_counted_until(self, apis: Sequence[ApiStatus]) -> dict[str, datetime | None]:
        groups = tuple(api.target_group for api in apis if api.target_group)
        balancer = self._cluster.resources.load_balancer_full_name
        return self._lately(("until", groups), lambda: read_counted_until(self._cloud, balancer, groups))

    def _read_counted(self, api: ApiStatus) -> CountedByReplicas:
        return self._lately(
            (api.name, api.created),
            lambda: read_counted_by_replicas(self._cloud, self._cluster.name, api.name, since=api.created),
        )

    def _read_recent(self, api: ApiStatus) -> Recent:
        group, balancer = api.target_group, self._cluster.resources.load_balancer_full_name
        if not group:
            return Recent()
        return self._lately(("recent", group), lambda: read_recent(self._cloud, balancer, group))

    def _read_forwarded(self, splitter: ApiStatus) -> dict[str, int]:
        variants = [variant.name for variant in splitter.variants]
        since = splitter.last_update
        return self._lately(
            (splitter.name, since), lambda: read_forwarded(self._cloud, self._cluster.name, variants, since=since)
        )

    def _lately(self, key: Hashable, read: Callable[[], Measured]) -> Measured:
        """What was read for that key a moment ago, or is read now."""
        read_at, known = self._known.get(key, (-METRICS_KEPT_SECONDS, None))
        if time.monotonic() - read_at < METRICS_KEPT_SECONDS:
            return cast(Measured, known)
        measured = read()
        self._known[key] = time.monotonic(), measured
        return measured

    def _reached_maximum(self, api: ApiStatus) -> int | None:
        service = names.service(api.name)
        bounds = read_bounds(self._cloud, names.ecs_cluster(self._cluster.name), [service]).get(service)
        reached = bounds is not None and bounds.least < bounds.most <= api.replicas.requested
        return bounds.most if bounds and reached else None


def _usage_as_json(usage: Sequence[Usage]) -> dict[str, Any] | None:
    """The mean and the most of all replicas that tell; None where none does."""
    if not usage:
        return None
    cpu = [one.cpu for one in usage if one.cpu is not None]
    memory = [one.memory_bytes for one in usage if one.memory_bytes is not None]
    return {
        "replicas": len(usage),
        "cpu": {"mean": round(sum(cpu) / len(cpu), 3), "max": max(cpu)} if cpu else None,
        "memory_bytes": {"mean": round(sum(memory) / len(memory)), "max": max(memory)} if memory else None,
    }


def _with_traffic(api: ApiStatus, traffic: Mapping[str, Traffic], until: Mapping[str, datetime | None]) -> Report:
    group = api.target_group or ""
    return Report(api, traffic=traffic.get(group), counted_until=until.get(group))


def _members(
    splitter: ApiStatus,
    splitters: Sequence[ApiStatus],
    counted: Mapping[str, int] | None,
    reports: Mapping[str, Report],
) -> tuple[Member, ...]:
    total = sum(counted.values()) if counted else 0
    members = []
    for variant in splitter.variants:
        served = counted.get(variant.name, 0) if counted is not None else None
        members.append(
            Member(
                name=variant.name,
                weight=variant.weight,
                served=served,
                share=100 * served / total if served is not None and total else None,
                also_in=tuple(
                    other.name for other in splitters if other.name != splitter.name and _uses(other, variant)
                ),
                report=reports.get(variant.name),
            )
        )
    return tuple(members)


def _uses(splitter: ApiStatus, api: Variant) -> bool:
    return any(variant.name == api.name and variant.weight for variant in splitter.variants)
