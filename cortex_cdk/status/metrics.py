"""What CloudWatch has counted of the requests to APIs, and of their predictions.

Counts and latencies are the load balancer's own (``AWS/ApplicationELB``): they include answers that a replica
never saw, and outlive replicas. Predictions, and the requests that came by way of a splitter, are counted by the
replicas (``contract.METRIC_NAMESPACE``). Days are UTC days, because CloudWatch keeps sums of whole days ready.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from cortex_serving import contract

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.status.cloudwatch import (
    DAY_SECONDS,
    MINUTE_SECONDS,
    Dimensions,
    Query,
    end_of_this_minute,
    of_replicas,
    of_target_group,
    read_points,
    read_values,
)

# As Cortex counts: two weeks, today included.
WINDOW = timedelta(days=14)
WHOLE_SECONDS = int(WINDOW.total_seconds())
RECENT = timedelta(minutes=3)
# In so many minutes a load balancer that works has reported something.
REPORTED = timedelta(minutes=10)
PULSE = "HealthyHostCount"
"""What a load balancer reports of a target group in every minute ("CloudWatch metrics for your ALB")."""
# A load balancer needs a moment to learn new weights.
REPORTED_WITHIN = timedelta(seconds=contract.REPORT_SECONDS + 5)
# More classes are counted (serving keeps them apart up to a hundred), but not asked for.
MAX_CLASSES = 20


@dataclass(frozen=True)
class Traffic:
    """The requests to one API in the last two weeks. Latencies in seconds; None where there were no requests."""

    average_latency: float | None = None
    p99_latency: float | None = None
    answers_2xx: int = 0
    answers_4xx: int = 0
    answers_5xx: int = 0

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints as ``metrics``; latencies in milliseconds."""
        return {
            "average_latency_ms": _milliseconds(self.average_latency),
            "p99_latency_ms": _milliseconds(self.p99_latency),
            "2xx": self.answers_2xx,
            "4xx": self.answers_4xx,
            "5xx": self.answers_5xx,
        }


@dataclass(frozen=True)
class Predictions:
    """What an API predicted in the last two weeks: classes with counts, or the distribution of a number.

    Attributes:
        more_classes: There are classes that are not among ``classes``.
    """

    classes: Mapping[str, int]
    minimum: float | None = None
    maximum: float | None = None
    average: float | None = None
    more_classes: bool = False

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints as ``monitoring``."""
        if self.average is None:
            return {"classes": dict(self.classes)}
        return {"min": self.minimum, "max": self.maximum, "avg": self.average}


def read_traffic(cloud: Cloud, load_balancer: str, target_groups: Sequence[str]) -> dict[str, Traffic]:
    """Read the requests to target groups in the last two weeks, with one call.

    Args:
        cloud: A session of the environment.
        load_balancer: Its ``LoadBalancer`` dimension.
        target_groups: Their ``TargetGroup`` dimensions.

    Returns:
        Traffic by target group.
    """
    if not target_groups:
        return {}
    wanted = [query for group in target_groups for query in _traffic_queries(load_balancer, group).values()]
    values = read_values(cloud, wanted, _first_day(), end_of_this_minute())
    return {
        group: _traffic({name: values[query] for name, query in _traffic_queries(load_balancer, group).items()})
        for group in target_groups
    }


@dataclass(frozen=True)
class Latency:
    """How long the answers of the last minutes took, in seconds.

    Attributes:
        median: The lowest of the minutes' medians.
        longest: The longest of all.
    """

    median: float
    longest: float


@dataclass(frozen=True)
class Recent:
    """What the load balancer has reported of the last minutes.

    Attributes:
        latency: None where there were no requests.
        answered: How many requests the API's replicas answered.
        client_errors: How many of these with 4XX.
        server_errors: How many of these with 5XX.
        counted_until: Every request until then is counted; None where nothing was reported lately. The load balancer
            reports minutes as a whole, up to three of them late.
    """

    latency: Latency | None = None
    answered: int = 0
    client_errors: int = 0
    server_errors: int = 0
    counted_until: datetime | None = None


def read_recent(cloud: Cloud, load_balancer: str, target_group: str) -> Recent:
    """Read the requests of the last minutes, and how far the counts go, with one call.

    Args:
        cloud: A session of the environment.
        load_balancer: Its ``LoadBalancer`` dimension.
        target_group: The API's ``TargetGroup`` dimension.
    """

    def query(metric: str, statistic: str) -> Query:
        return of_target_group(load_balancer, target_group, metric, statistic, MINUTE_SECONDS)

    median, longest = query("TargetResponseTime", "p50"), query("TargetResponseTime", "Maximum")
    answers = [query(f"HTTPCode_Target_{digit}XX_Count", "Sum") for digit in "2345"]
    pulse = query(PULSE, "Maximum")
    end = end_of_this_minute()
    points = read_points(cloud, [median, longest, *answers, pulse], end - REPORTED, end)

    def lately(of: Query) -> list[float]:
        return [value for moment, value in points[of].items() if moment >= end - RECENT]

    counts = [round(sum(lately(of))) for of in answers]
    medians, longests = lately(median), lately(longest)
    return Recent(
        latency=Latency(min(medians), max(longests)) if medians and longests else None,
        answered=sum(counts),
        client_errors=counts[2],
        server_errors=counts[3],
        counted_until=counted_until(points[pulse], MINUTE_SECONDS),
    )


def read_counted_until(cloud: Cloud, load_balancer: str, target_groups: Sequence[str]) -> dict[str, datetime | None]:
    """Read how far the counts of several target groups go, with one call; see ``Recent.counted_until``."""
    pulses = {group: of_target_group(load_balancer, group, PULSE, "Maximum", MINUTE_SECONDS) for group in target_groups}
    end = end_of_this_minute()
    points = read_points(cloud, list(pulses.values()), end - REPORTED, end) if pulses else {}
    return {group: counted_until(points[pulse], MINUTE_SECONDS) for group, pulse in pulses.items()}


def counted_until(pulse: Iterable[datetime], period: int) -> datetime | None:
    """Say until when a load balancer has counted requests, from the periods in which it counted healthy replicas.

    It reports those in every minute, and requests only where there are some. A minute that runs ends now.

    Args:
        pulse: The beginnings of the periods.
        period: Their length in seconds.
    """
    newest = max(pulse, default=None)
    return None if newest is None else min(newest + timedelta(seconds=period), datetime.now(timezone.utc))


def _traffic_queries(load_balancer: str, target_group: str) -> dict[str, Query]:
    def query(metric: str, statistic: str, period: int = DAY_SECONDS) -> Query:
        return of_target_group(load_balancer, target_group, metric, statistic, period)

    return {
        "2xx": query("HTTPCode_Target_2XX_Count", "Sum"),
        "4xx": query("HTTPCode_Target_4XX_Count", "Sum"),
        "5xx": query("HTTPCode_Target_5XX_Count", "Sum"),
        "seconds": query("TargetResponseTime", "Sum"),
        "timed": query("TargetResponseTime", "SampleCount"),
        # Percentiles of days cannot be added up: one period for all of them.
        "p99": query("TargetResponseTime", "p99", WHOLE_SECONDS),
    }


def _traffic(values: Mapping[str, Sequence[float]]) -> Traffic:
    timed = sum(values["timed"])
    return Traffic(
        average_latency=sum(values["seconds"]) / timed if timed else None,
        p99_latency=max(values["p99"], default=None),
        answers_2xx=round(sum(values["2xx"])),
        answers_4xx=round(sum(values["4xx"])),
        answers_5xx=round(sum(values["5xx"])),
    )


@dataclass(frozen=True)
class Batching:
    """How requests of the last two weeks were put into batches. Times in seconds.

    Attributes:
        mean_size: Requests in a batch.
        p50_queue: Half of the requests waited no longer until they were worked on; None where that is not known.
        p99_queue: The same for 99 of 100.
    """

    mean_size: float
    p50_queue: float | None
    p99_queue: float | None

    def as_json(self) -> dict[str, Any]:
        """What ``cortex get -o json`` prints as ``batching``; times in milliseconds."""
        return {
            "mean_size": round(self.mean_size, 2),
            "p50_queue_ms": _milliseconds(self.p50_queue),
            "p99_queue_ms": _milliseconds(self.p99_queue),
        }


@dataclass(frozen=True)
class CountedByReplicas:
    """What the replicas of an API counted in the last two weeks.

    Attributes:
        predictions: None where nothing was counted (it has no ``monitoring``, or no requests).
        batching: None where there were no batches.
    """

    predictions: Predictions | None = None
    batching: Batching | None = None


def read_counted_by_replicas(cloud: Cloud, cluster: str, api: str, since: datetime) -> CountedByReplicas:
    """Read what an API predicted, and its batches, with one call of GetMetricData.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        api: The API's name.
        since: When it was created: a deleted API of that name had the same metrics. CloudWatch rounds the start of a
            query down to the minute (API reference of GetMetricData), in which no replica of either predicts.
    """
    start = max(since, _first_day())
    classified = _class_dimensions(cloud, of_replicas(cluster, api, contract.PREDICTION_METRIC, "Sum").dimensions)
    classes = [
        Query(contract.METRIC_NAMESPACE, contract.PREDICTION_METRIC, dimensions, "Sum")
        for dimensions in classified[:MAX_CLASSES]
    ]
    numbers = {
        name: of_replicas(cluster, api, contract.PREDICTION_METRIC, name)
        for name in ("Sum", "SampleCount", "Minimum", "Maximum")
    }
    batches = {
        "size": of_replicas(cluster, api, contract.BATCH_SIZE_METRIC, "Average", WHOLE_SECONDS),
        "p50": of_replicas(cluster, api, contract.QUEUE_TIME_METRIC, "p50", WHOLE_SECONDS),
        "p99": of_replicas(cluster, api, contract.QUEUE_TIME_METRIC, "p99", WHOLE_SECONDS),
    }
    wanted = [*classes, *numbers.values(), *batches.values()]
    values = read_values(cloud, wanted, start, end_of_this_minute())
    counts = {
        dict(query.dimensions)[contract.CLASS_DIMENSION]: round(sum(values[query]))
        for query in classes
        if values[query]
    }
    more = len(classified) > MAX_CLASSES
    return CountedByReplicas(
        Predictions(dict(sorted(counts.items())), more_classes=more)
        if counts
        else _numbers({name: values[query] for name, query in numbers.items()}),
        _batching({name: values[query] for name, query in batches.items()}),
    )


def _numbers(values: Mapping[str, Sequence[float]]) -> Predictions | None:
    count = sum(values["SampleCount"])
    if not count:
        return None
    return Predictions(
        {}, minimum=min(values["Minimum"]), maximum=max(values["Maximum"]), average=sum(values["Sum"]) / count
    )


def _batching(values: Mapping[str, Sequence[float]]) -> Batching | None:
    if not values["size"]:
        return None
    p50, p99 = (max(values[name]) / 1000 if values[name] else None for name in ("p50", "p99"))
    return Batching(max(values["size"]), p50, p99)


def _class_dimensions(cloud: Cloud, own: Dimensions) -> list[Dimensions]:
    """The dimensions of the class counts of an API. CloudWatch lists a new class up to 15 minutes late."""
    pages = cloud.cloudwatch.get_paginator("list_metrics").paginate(
        Namespace=contract.METRIC_NAMESPACE,
        MetricName=contract.PREDICTION_METRIC,
        Dimensions=[{"Name": name, "Value": value} for name, value in own],
    )
    found = [
        tuple((d["Name"], d["Value"]) for d in metric["Dimensions"]) for page in pages for metric in page["Metrics"]
    ]
    return sorted(
        (dimensions for dimensions in found if contract.CLASS_DIMENSION in dict(dimensions)),
        key=lambda pairs: dict(pairs)[contract.CLASS_DIMENSION],
    )


def read_forwarded(cloud: Cloud, cluster: str, apis: Sequence[str], since: datetime) -> dict[str, int]:
    """How many requests each API got by way of splitters since a moment, from a full minute on that has no others."""
    queries = {api: of_replicas(cluster, api, contract.FORWARDED_METRIC, "Sum", MINUTE_SECONDS) for api in apis}
    counted = (since + REPORTED_WITHIN).replace(second=0, microsecond=0) + timedelta(minutes=1)
    start = max(counted, _first_day())
    if start >= end_of_this_minute():
        return dict.fromkeys(apis, 0)
    values = read_values(cloud, list(queries.values()), start, end_of_this_minute())
    return {api: round(sum(values[query])) for api, query in queries.items()}


def _first_day() -> datetime:
    today = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - WINDOW + timedelta(days=1)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
