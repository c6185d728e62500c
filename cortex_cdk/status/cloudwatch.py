"""The one door to metrics in CloudWatch: several statistics between two moments, with one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cortex_serving import contract

from cortex_cdk.aws.cloud import Cloud

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

MINUTE_SECONDS = 60
DAY_SECONDS = 86_400
QUERIES_A_CALL = 500
BALANCER = "AWS/ApplicationELB"

Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Query:
    """What to ask CloudWatch for: one statistic of one metric, over periods of a number of seconds."""

    namespace: str
    metric: str
    dimensions: Dimensions
    statistic: str
    period: int = DAY_SECONDS


def of_target_group(
    load_balancer: str, target_group: str, metric: str, statistic: str, period: int = DAY_SECONDS
) -> Query:
    """What the load balancer measured of one target group.

    Args:
        load_balancer: Its ``LoadBalancer`` dimension.
        target_group: The API's ``TargetGroup`` dimension.
        metric: Such as ``RequestCount``.
        statistic: Such as ``Sum`` or ``p99``.
        period: Seconds that a value stands for.
    """
    return Query(BALANCER, metric, (("LoadBalancer", load_balancer), ("TargetGroup", target_group)), statistic, period)


def of_replicas(cluster: str, api: str, metric: str, statistic: str, period: int = DAY_SECONDS) -> Query:
    """What the replicas of an API measured; see ``of_target_group``."""
    dimensions = tuple(contract.dimensions(cluster, api).items())
    return Query(contract.METRIC_NAMESPACE, metric, dimensions, statistic, period)


def read_points(
    cloud: Cloud, wanted: Sequence[Query], start: datetime, end: datetime
) -> dict[Query, dict[datetime, float]]:
    """Read values by the beginning of their periods; periods in which nothing was measured are left out."""
    points: dict[Query, dict[datetime, float]] = {query: {} for query in wanted}
    ids = {f"q{number}": query for number, query in enumerate(points)}
    for queries in _batches([_asked(id_, query) for id_, query in ids.items()]):
        pages = cloud.cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=start, EndTime=end
        )
        for result in (result for page in pages for result in page["MetricDataResults"]):
            points[ids[result["Id"]]].update(zip(result["Timestamps"], result["Values"], strict=True))
    return points


def read_values(cloud: Cloud, wanted: Sequence[Query], start: datetime, end: datetime) -> dict[Query, list[float]]:
    """Read values between two moments, in no order."""
    return {query: list(points.values()) for query, points in read_points(cloud, wanted, start, end).items()}


def end_of_this_minute() -> datetime:
    """Return the end of a query that is to have everything: what was counted until now is in it."""
    return datetime.now(timezone.utc).replace(second=0, microsecond=0) + timedelta(minutes=1)


def _asked(id_: str, query: Query) -> MetricDataQueryTypeDef:
    return {
        "Id": id_,
        "MetricStat": {
            "Metric": {
                "Namespace": query.namespace,
                "MetricName": query.metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in query.dimensions],
            },
            "Period": query.period,
            "Stat": query.statistic,
        },
    }


def _batches(queries: Sequence[MetricDataQueryTypeDef]) -> Iterator[Sequence[MetricDataQueryTypeDef]]:
    for start in range(0, len(queries), QUERIES_A_CALL):
        yield queries[start : start + QUERIES_A_CALL]
