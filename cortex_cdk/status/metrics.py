"""What CloudWatch has counted of the requests to APIs, and of their predictions.

Counts and latencies are the load balancer's own (``AWS/ApplicationELB``): they include answers that a replica
never saw, and outlive replicas. Predictions, and the requests that came by way of a splitter, are counted by the
replicas (``contract.METRIC_NAMESPACE``). Days are UTC days, because CloudWatch keeps sums of whole days ready.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from cortex_serving import contract

from cortex_cdk.aws.cloud import Cloud

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

# As Cortex counts: two weeks, today included.
WINDOW = timedelta(days=14)
RECENT = timedelta(minutes=3)
DAY_SECONDS = 86_400
QUERIES_A_CALL = 500
# A load balancer needs a moment to learn new weights.
REPORTED_WITHIN = timedelta(seconds=contract.REPORT_SECONDS + 5)
# More classes are counted (serving keeps them apart up to a hundred), but not asked for.
MAX_CLASSES = 20


Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Series:
    """What to ask CloudWatch for: one statistic of one metric, over periods of a number of seconds."""

    namespace: str
    metric: str
    dimensions: Dimensions
    statistic: str
    period: int = DAY_SECONDS


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
    wanted = [series for group in target_groups for series in _traffic_series(load_balancer, group).values()]
    values = _read(cloud, wanted, _first_day(), _soon())
    return {
        group: _traffic({name: values[series] for name, series in _traffic_series(load_balancer, group).items()})
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
    """The requests to one API in the last minutes.

    Attributes:
        latency: None where there were no requests.
        answered: How many its replicas answered.
        client_errors: How many of these with 4XX.
        server_errors: How many of these with 5XX.
    """

    latency: Latency | None = None
    answered: int = 0
    client_errors: int = 0
    server_errors: int = 0


def read_recent(cloud: Cloud, load_balancer: str, target_group: str) -> Recent:
    """Read the requests of the last minutes, with one call.

    Args:
        cloud: A session of the environment.
        load_balancer: Its ``LoadBalancer`` dimension.
        target_group: The API's ``TargetGroup`` dimension.
    """
    dimensions = (("LoadBalancer", load_balancer), ("TargetGroup", target_group))

    def series(metric: str, statistic: str) -> Series:
        return Series("AWS/ApplicationELB", metric, dimensions, statistic, 60)

    median, longest = series("TargetResponseTime", "p50"), series("TargetResponseTime", "Maximum")
    answers = [series(f"HTTPCode_Target_{digit}XX_Count", "Sum") for digit in "2345"]
    end = _soon()
    values = _read(cloud, [median, longest, *answers], end - RECENT, end)
    counts = [round(sum(values[one])) for one in answers]
    latency = None
    if values[median] and values[longest]:
        latency = Latency(min(values[median]), max(values[longest]))
    return Recent(latency, sum(counts), client_errors=counts[2], server_errors=counts[3])


def _traffic_series(load_balancer: str, target_group: str) -> dict[str, Series]:
    dimensions = (("LoadBalancer", load_balancer), ("TargetGroup", target_group))
    whole = int(WINDOW.total_seconds())

    def series(metric: str, statistic: str, period: int = DAY_SECONDS) -> Series:
        return Series("AWS/ApplicationELB", metric, dimensions, statistic, period)

    return {
        "2xx": series("HTTPCode_Target_2XX_Count", "Sum"),
        "4xx": series("HTTPCode_Target_4XX_Count", "Sum"),
        "5xx": series("HTTPCode_Target_5XX_Count", "Sum"),
        "seconds": series("TargetResponseTime", "Sum"),
        "timed": series("TargetResponseTime", "SampleCount"),
        # Percentiles of days cannot be added up: one period for all of them.
        "p99": series("TargetResponseTime", "p99", whole),
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


def read_predictions(cloud: Cloud, cluster: str, api: str, since: datetime) -> Predictions | None:
    """Read what an API predicted.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        api: The API's name.
        since: When it was created: a deleted API of that name had the same metrics. CloudWatch rounds the start of a
            query down to the minute (API reference of GetMetricData), in which no replica of either predicts.

    Returns:
        None where nothing was counted (it has no ``monitoring``, or no requests).
    """
    start = max(since, _first_day())
    own = _of_api(cluster, api)
    dimensions = [own, *_class_dimensions(cloud, own)]
    more = len(dimensions) > MAX_CLASSES + 1
    wanted = [_prediction(classified, "Sum") for classified in dimensions[1 : MAX_CLASSES + 1]]
    numbers = {name: _prediction(dimensions[0], name) for name in ("Sum", "SampleCount", "Minimum", "Maximum")}
    values = _read(cloud, [*wanted, *numbers.values()], start, _soon())
    classes = {
        dict(series.dimensions)[contract.CLASS_DIMENSION]: round(sum(values[series]))
        for series in wanted
        if values[series]
    }
    if classes:
        return Predictions(dict(sorted(classes.items())), more_classes=more)
    count = sum(values[numbers["SampleCount"]])
    if not count:
        return None
    return Predictions(
        {},
        minimum=min(values[numbers["Minimum"]]),
        maximum=max(values[numbers["Maximum"]]),
        average=sum(values[numbers["Sum"]]) / count,
    )


def _of_api(cluster: str, api: str) -> Dimensions:
    return tuple(contract.dimensions(cluster, api).items())


def _prediction(dimensions: Dimensions, statistic: str) -> Series:
    return Series(contract.METRIC_NAMESPACE, contract.PREDICTION_METRIC, dimensions, statistic)


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
    series = {
        api: Series(contract.METRIC_NAMESPACE, contract.FORWARDED_METRIC, _of_api(cluster, api), "Sum", 60)
        for api in apis
    }
    counted = (since + REPORTED_WITHIN).replace(second=0, microsecond=0) + timedelta(minutes=1)
    start = max(counted, _first_day())
    if start >= _soon():
        return dict.fromkeys(apis, 0)
    values = _read(cloud, list(series.values()), start, _soon())
    return {api: round(sum(values[wanted])) for api, wanted in series.items()}


def _first_day() -> datetime:
    today = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - WINDOW + timedelta(days=1)


def _soon() -> datetime:
    """The end of the minute that runs: what was counted until now is in it."""
    return datetime.now(timezone.utc).replace(second=0, microsecond=0) + timedelta(minutes=1)


def _read(cloud: Cloud, wanted: Sequence[Series], start: datetime, end: datetime) -> dict[Series, list[float]]:
    """The values of series between two moments."""
    values: dict[Series, list[float]] = {series: [] for series in wanted}
    ids = {f"q{number}": series for number, series in enumerate(values)}
    for queries in _batches([_query(id_, series) for id_, series in ids.items()]):
        pages = cloud.cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=start, EndTime=end
        )
        for result in (result for page in pages for result in page["MetricDataResults"]):
            values[ids[result["Id"]]] += result["Values"]
    return values


def _query(id_: str, series: Series) -> MetricDataQueryTypeDef:
    return {
        "Id": id_,
        "MetricStat": {
            "Metric": {
                "Namespace": series.namespace,
                "MetricName": series.metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions],
            },
            "Period": series.period,
            "Stat": series.statistic,
        },
    }


def _batches(queries: Sequence[MetricDataQueryTypeDef]) -> Iterator[Sequence[MetricDataQueryTypeDef]]:
    for start in range(0, len(queries), QUERIES_A_CALL):
        yield queries[start : start + QUERIES_A_CALL]


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
