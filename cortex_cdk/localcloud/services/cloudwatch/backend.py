"""Replaces moto's CloudWatch: a store with percentiles and metric math that does not grow without end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import moto.cloudwatch.urls
from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from cortex_cdk.localcloud.services.cloudwatch import alarm_history, search
from cortex_cdk.localcloud.services.cloudwatch.metric_math import ExpressionError, Values, evaluate
from cortex_cdk.localcloud.services.cloudwatch.store import Key, MetricStore, key
from cortex_cdk.localcloud.settings import ACCOUNT_ID
from cortex_cdk.localcloud.state_lock import STATE_LOCK

UNCHECKED = "Unchecked: Initial alarm creation"
"""The reason of an alarm's state before its first evaluation."""
SUMMED = ("Sum", "SampleCount")
"""Statistics that grow with the length of the period."""


class LocalCloudWatch(CloudWatchBackend):
    """The CloudWatch of one region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.store = MetricStore()

    @property
    def _url_module(self) -> Any:
        # moto derives the module from the class, which is ours here.
        return moto.cloudwatch.urls

    def put_metric_alarm(self, name: str, *arguments: Any, **named: Any) -> Alarm:
        """PutMetricAlarm. A new alarm has insufficient data, and a changed alarm keeps its state."""
        before = self.alarms.get(name)
        alarm = super().put_metric_alarm(name, *arguments, **named)
        alarm.state_value = before.state_value if before else "INSUFFICIENT_DATA"
        alarm.state_reason = before.state_reason if before else UNCHECKED
        return alarm

    def put_metric_data(self, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        """Add datapoints (PutMetricData)."""
        for number, datum in enumerate(metric_data, start=1):
            self._validate_parameters_put_metric_data(datum, number)
        for datum in metric_data:
            self.store.add(
                namespace,
                datum["MetricName"],
                _pairs(datum.get("Dimensions")),
                _values(datum),
                at=_seconds(datum["Timestamp"]) if datum.get("Timestamp") else None,
                unit=datum.get("Unit"),
            )

    def get_metric_data(
        self, queries: list[dict[str, Any]], start_time: Any, end_time: Any, scan_by: str = "TimestampAscending"
    ) -> list[dict[str, Any]]:
        """Return the values of metrics, expressions and searches (GetMetricData).

        Raises:
            ValidationError: An expression or statistic is not understood.
        """
        start, end = _seconds(start_time), _seconds(end_time)
        try:
            searches = {query["Id"]: search.parse(query.get("Expression") or "") for query in queries}
            known = self.query([query for query in queries if not searches[query["Id"]]], start, end)
        except (ExpressionError, ValueError) as error:
            raise ValidationError(f"The local cloud cannot compute this: {error}") from error
        results = []
        for query in queries:
            wanted = searches[query["Id"]]
            found = self._search(wanted, start, end) if wanted else [(_label(query), known[query["Id"]])]
            if query.get("ReturnData", True):
                for label, values in found:
                    moments = sorted(values, reverse=scan_by == "TimestampDescending")
                    results.append(
                        {
                            "id": query["Id"],
                            "label": query.get("Label") or label,
                            "timestamps": [_moment(moment) for moment in moments],
                            "values": [values[moment] for moment in moments],
                            "status_code": "Complete",
                        }
                    )
        return results

    def _search(self, wanted: search.Search, start: float, end: float) -> list[tuple[str, Values]]:
        """Return the label and the values of each metric that a search finds, if it has values in the span."""
        period = wanted.period
        found = []
        for metric in wanted.finds(self.store.series):
            buckets = self.store.between(metric, start // period * period, end, period, not_before=start)
            if buckets:
                values = {begin: bucket.statistic(wanted.statistic) for begin, bucket in buckets.items()}
                found.append((wanted.label(metric), values))
        return found

    def query(self, queries: Sequence[Mapping[str, Any]], start: float, end: float) -> dict[str, Values]:
        """Return the values of metric queries, by their id.

        Args:
            queries: As in GetMetricData.
            start: First second.
            end: The second after the last one.

        Raises:
            ExpressionError: An expression is not understood.
        """
        plain = [query for query in queries if query.get("MetricStat")]
        shortest = min([int(query["MetricStat"]["Period"]) for query in plain] or [60])
        begin = start // shortest * shortest
        times = [begin + number * shortest for number in range(int(max(0.0, end - begin) // shortest))]
        known = {}
        for query in plain:
            period = int(query["MetricStat"]["Period"])
            known[query["Id"]] = self._plain(
                query["MetricStat"], start // period * period, end, period, not_before=start
            )
        return _with_expressions(queries, known, times)

    def query_at_speed(
        self, queries: Sequence[Mapping[str, Any]], start: float, period: float, count: int, speed: float
    ) -> dict[str, Values]:
        """Return the values of metric queries on a clock that runs faster.

        Args:
            queries: As in GetMetricData. Their own periods are not used.
            start: First second.
            period: Seconds of real time that one value stands for.
            count: How many values.
            speed: The factor by which sums are multiplied, to be those of a whole period.
        """
        times = [start + number * period for number in range(count)]
        known = {}
        for query in queries:
            if query.get("MetricStat"):
                values = self._plain(query["MetricStat"], start, start + count * period, period)
                factor = speed if query["MetricStat"]["Stat"] in SUMMED else 1.0
                known[query["Id"]] = {begin: value * factor for begin, value in values.items()}
        return _with_expressions(queries, known, times)

    def _plain(
        self, statistic: Mapping[str, Any], start: float, end: float, period: float, not_before: float = -math.inf
    ) -> Values:
        metric = statistic["Metric"]
        wanted = key(metric["Namespace"], metric["MetricName"], _pairs(metric.get("Dimensions")))
        buckets = self.store.between(wanted, start, end, period, not_before=not_before)
        return {begin: bucket.statistic(statistic["Stat"]) for begin, bucket in buckets.items()}

    def get_metric_statistics(  # type: ignore[override] # noqa: PLR0917 - moto's signature
        self,
        namespace: str,
        metric_name: str,
        start_time: Any,
        end_time: Any,
        period: int,
        stats: list[str],
        dimensions: list[dict[str, str]],
        unit: str | None = None,
        extended: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """Return the statistics of one metric (GetMetricStatistics). Other dimensions make another metric."""
        start, end = _seconds(start_time), _seconds(end_time)
        wanted = key(namespace, metric_name, _pairs(dimensions))
        buckets = self.store.between(wanted, start // period * period, end, period, not_before=start)
        known_unit = self.store.series[wanted].unit if buckets else None
        return [
            {
                "Timestamp": _moment(begin),
                "Unit": unit or known_unit or "None",
                **{name: bucket.statistic(name) for name in stats},
                **({"ExtendedStatistics": {name: bucket.statistic(name) for name in extended}} if extended else {}),
            }
            for begin, bucket in buckets.items()
        ]

    def list_metrics(  # type: ignore[override]
        self, next_token: str | None, namespace: str | None, metric_name: str | None, dimensions: list[dict[str, Any]]
    ) -> tuple[None, list[dict[str, Any]]]:
        """Return the known metrics by namespace, name and dimensions (ListMetrics)."""
        wanted = [(item["Name"], item.get("Value")) for item in dimensions or []]
        found = [
            metric
            for metric in self.store.series
            if namespace in {None, metric[0]} and metric_name in {None, metric[1]} and _has(metric, wanted)
        ]
        return None, [
            {
                "Namespace": metric[0],
                "MetricName": metric[1],
                "Dimensions": [{"Name": name, "Value": value} for name, value in metric[2]],
            }
            for metric in found
        ]


class LocalCloudWatchResponse(CloudWatchResponse):
    """moto's CloudWatch actions, with percentiles, and with all filters of alarms."""

    def describe_alarms(self) -> ActionResult:
        """Answer DescribeAlarms. Of names, prefixes and state, moto would look at one only."""
        # moto types the result as any object.
        found: Any = super().describe_alarms().result
        wanted = self._get_param("StateValue")
        kept = {
            kind: [alarm for alarm in alarms if wanted in (None, alarm.state_value)] for kind, alarms in found.items()
        }
        return ActionResult(kept)

    def describe_alarm_history(self) -> ActionResult:
        """Answer DescribeAlarmHistory: when alarms were made, and from which state to which they went."""
        given = self._get_params()
        backend: Any = self.cloudwatch_backend
        items = alarm_history.items(
            backend.alarms.values(),
            name=given.get("AlarmName"),
            kind=given.get("HistoryItemType"),
            since=_seconds(given["StartDate"]) if given.get("StartDate") else None,
            until=_seconds(given["EndDate"]) if given.get("EndDate") else None,
        )
        if given.get("ScanBy") == "TimestampAscending":
            items.reverse()
        start, size = int(given.get("NextToken") or 0), int(given.get("MaxRecords") or alarm_history.PAGE)
        more = {"NextToken": str(start + size)} if start + size < len(items) else {}
        return ActionResult({"AlarmHistoryItems": items[start : start + size], **more})

    def get_metric_statistics(self) -> ActionResult:
        """Answer GetMetricStatistics."""
        given = self._get_params()
        extended = given.get("ExtendedStatistics") or []
        backend: Any = self.cloudwatch_backend
        found = backend.get_metric_statistics(
            given["Namespace"],
            given["MetricName"],
            given["StartTime"],
            given["EndTime"],
            int(given["Period"]),
            given.get("Statistics") or [],
            given.get("Dimensions") or [],
            given.get("Unit"),
            extended,
        )
        return ActionResult({"Label": given["MetricName"], "Datapoints": found})


def install() -> None:
    """Make moto use this CloudWatch. Call this before the first use. More calls change nothing."""
    cloudwatch_backends.backend = LocalCloudWatch
    paths = moto.cloudwatch.urls.url_paths
    for pattern in paths:
        paths[pattern] = LocalCloudWatchResponse.dispatch


def store(region: str) -> MetricStore:
    """Return the metrics of a region."""
    backend: Any = cloudwatch_backends[ACCOUNT_ID][region]
    found: MetricStore = backend.store
    return found


def compact() -> None:
    """Free the memory of old datapoints, in all regions."""
    with STATE_LOCK:
        for region in list(cloudwatch_backends[ACCOUNT_ID]):
            store(region).compact(time.time())


def forget_after(moment: float) -> None:
    """Drop what was measured from a moment on (seconds since the epoch), in all regions."""
    with STATE_LOCK:
        for region in list(cloudwatch_backends[ACCOUNT_ID]):
            store(region).forget_after(moment)


def outdate() -> None:
    """Let the next snapshot contain all datapoints until then, in all regions."""
    with STATE_LOCK:
        for region in list(cloudwatch_backends[ACCOUNT_ID]):
            store(region).outdate()


def _with_expressions(
    queries: Sequence[Mapping[str, Any]], known: dict[str, Values], times: Sequence[float]
) -> dict[str, Values]:
    """Add the values of expressions. Expressions may use each other in any order."""
    pending = [query for query in queries if not query.get("MetricStat")]
    while pending:
        ready = [query for query in pending if not _uses(query, pending)] or pending[:]
        for query in ready:
            known[query["Id"]] = evaluate(str(query["Expression"]), known, times)
            pending.remove(query)
    return known


def _values(datum: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return the values of a datum, each with its count."""
    if datum.get("Values"):
        counts = datum.get("Counts") or [1] * len(datum["Values"])
        return [(float(value), float(count)) for value, count in zip(datum["Values"], counts, strict=True)]
    if datum.get("StatisticValues"):
        return _spread({name: float(value) for name, value in datum["StatisticValues"].items()})
    return [(float(datum.get("Value", 0)), 1.0)]


def _spread(statistics: Mapping[str, float]) -> list[tuple[float, float]]:
    """Return values that have the given minimum, maximum, sum and count."""
    count, total = statistics["SampleCount"], statistics["Sum"]
    low, high = statistics["Minimum"], statistics["Maximum"]
    if count <= 2:
        return [(low, 1.0), (high, 1.0)] if count > 1 else [(total, count)]
    return [(low, 1.0), (high, 1.0), ((total - low - high) / (count - 2), count - 2)]


def _pairs(dimensions: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    return {item["Name"]: item["Value"] for item in dimensions or []}


def _has(metric: Key, wanted: Sequence[tuple[str, str | None]]) -> bool:
    found = dict(metric[2])
    return all(name in found and value in {None, found[name]} for name, value in wanted)


def _uses(query: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> bool:
    return any(other is not query and str(other["Id"]) in str(query["Expression"]) for other in others)


def _label(query: Mapping[str, Any]) -> str:
    statistic = query.get("MetricStat")
    return f"{statistic['Metric']['MetricName']}" if statistic else str(query["Id"])


def _seconds(moment: Any) -> float:
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    return float(moment)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
