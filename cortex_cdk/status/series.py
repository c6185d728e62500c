"""What was measured of APIs over time: requests, errors, latencies, load, batches, replicas.

    what to measure (``MEASURES``) -> queries of each API -> one call of GetMetricData -> ``Measurements``

Nothing measured is not zero: a latency without requests is None, and so is everything before an API was made. Only
counts of requests are zero where the load balancer says nothing of them, but counts the replicas: it reports requests
only where there are some, and replicas in every minute, both equally late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from cortex_serving import contract
from cortex_serving.contract import TRAFFIC_SPLITTER

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.errors import CortexError, WrongCallError
from cortex_cdk.status.cloudwatch import (
    MINUTE_SECONDS,
    Query,
    end_of_this_minute,
    of_replicas,
    of_target_group,
    read_points,
)
from cortex_cdk.status.metrics import PULSE, REPORTED, counted_until
from cortex_cdk.status.read_status import ApiStatus

DEFAULT_SINCE = timedelta(hours=3)
_EPOCH = datetime.fromtimestamp(0, timezone.utc)
POINTS = 180
"""Most values of a series, unless a period is asked for."""
MAX_POINTS = 5000
PERIODS = tuple(
    timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 43200)
)
KEPT = (
    (timedelta(days=15), timedelta(minutes=1)),
    (timedelta(days=63), timedelta(minutes=5)),
    (timedelta(days=455), timedelta(hours=1)),
)
"""For how long CloudWatch keeps values of periods ("Metrics retention" of the CloudWatch guide)."""


@dataclass(frozen=True)
class Measure:
    """Something that can be measured of an API.

    Attributes:
        name: Its name in JSON, in CSV and as a column.
        source: Who measures: the load balancer, the replicas, or ECS.
        metric: CloudWatch's name.
        statistic: CloudWatch's statistic.
        counts: Whether no value means zero where the load balancer reports at all.
        factor: What values are multiplied by.
    """

    name: str
    source: str
    metric: str
    statistic: str
    counts: bool = False
    factor: float = 1.0


REPLICAS = "replicas"

_balancer = partial(Measure, source="balancer")
_replicas = partial(Measure, source="replicas")
_service = partial(Measure, source="service", statistic="Average")

MEASURES: tuple[Measure, ...] = (
    _balancer("requests", metric="RequestCount", statistic="Sum", counts=True),
    _balancer("4xx", metric="HTTPCode_Target_4XX_Count", statistic="Sum", counts=True),
    _balancer("5xx", metric="HTTPCode_Target_5XX_Count", statistic="Sum", counts=True),
    _balancer("p50_latency_ms", metric="TargetResponseTime", statistic="p50", factor=1000),
    _balancer("p90_latency_ms", metric="TargetResponseTime", statistic="p90", factor=1000),
    _balancer("p99_latency_ms", metric="TargetResponseTime", statistic="p99", factor=1000),
    _replicas("in_flight", metric=contract.IN_FLIGHT_METRIC, statistic="Average"),
    _replicas("batch_size", metric=contract.BATCH_SIZE_METRIC, statistic="Average"),
    _replicas("p50_queue_ms", metric=contract.QUEUE_TIME_METRIC, statistic="p50"),
    _replicas("p99_queue_ms", metric=contract.QUEUE_TIME_METRIC, statistic="p99"),
    _balancer(REPLICAS, metric=PULSE, statistic="Maximum"),
    _service("cpu_percent", metric="CPUUtilization"),
    _service("memory_percent", metric="MemoryUtilization"),
)
"""What is asked for. ``in_flight`` is that of one replica, on average; percents are of what was reserved."""

COUNTS = frozenset(measure.name for measure in MEASURES if measure.counts)


@dataclass(frozen=True)
class Series:
    """One measure of one API over time.

    Attributes:
        api: The API.
        name: What was measured (``MEASURES``); latencies and times in queues in milliseconds.
        values: One for each period, the oldest first; None where nothing was measured.
    """

    api: str
    name: str
    values: tuple[float | None, ...]

    @property
    def is_count(self) -> bool:
        """Whether values add up: the number of something in each period."""
        return self.name in COUNTS

    @property
    def measured(self) -> list[float]:
        """The values that there are."""
        return [value for value in self.values if value is not None]


@dataclass(frozen=True)
class Measurements:
    """What was measured of an API, or of the APIs of a traffic splitter.

    Attributes:
        name: The API or splitter.
        kind: ``RealtimeAPI`` or ``TrafficSplitter``.
        apis: The API, or the splitter's.
        times: When each period begins, in UTC, the oldest first.
        period: How long each is.
        counted_until: Every request until then is counted; None where that is not known.
        series: Of each API, each measure.
    """

    name: str
    kind: str
    apis: tuple[str, ...]
    times: tuple[datetime, ...]
    period: timedelta
    counted_until: datetime | None
    series: tuple[Series, ...]

    def __repr__(self) -> str:
        measures = ", ".join(dict.fromkeys(one.name for one in self.series))
        since = f" since {self.times[0]:%Y-%m-%d %H:%M} UTC" if self.times else ""
        minutes = int(self.period.total_seconds()) // 60
        return f"<metrics of {self.name}{since}, every {minutes} min: {measures}; as a table: to_frame()>"

    def of(self, name: str, api: str | None = None) -> Series:
        """Return one series.

        Args:
            name: What was measured (``MEASURES``).
            api: The API; None takes the first one.

        Raises:
            KeyError: There is no such series.
        """
        wanted = api or self.apis[0]
        found = next((one for one in self.series if one.name == name and one.api == wanted), None)
        if found is None:
            raise KeyError(f"{name} of {wanted}")
        return found

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row for each period and API: ``time``, ``api``, and each measure by its name."""
        for number, moment in enumerate(self.times):
            for api in self.apis:
                values = {one.name: one.values[number] for one in self.series if one.api == api}
                yield {"time": moment.isoformat(), "api": api, **values}

    def as_json(self) -> dict[str, Any]:
        """What ``cortex metrics -o json`` prints."""
        return {
            "name": self.name,
            "kind": self.kind,
            "period_seconds": int(self.period.total_seconds()),
            "counted_until": self.counted_until.isoformat() if self.counted_until else None,
            "times": [moment.isoformat() for moment in self.times],
            "apis": [
                {"name": api, "series": {one.name: list(one.values) for one in self.series if one.api == api}}
                for api in self.apis
            ],
        }

    def to_frame(self) -> Any:
        """Return a pandas DataFrame: a row for each period, by its beginning; a column for each measure.

        Of a traffic splitter, columns are pairs of an API and a measure. What was not measured is NaN.

        Raises:
            CortexError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise CortexError("pandas is not installed", hint="pip install pandas") from error
        pairs = [(one.api, one.name) for one in self.series]
        many = self.kind == TRAFFIC_SPLITTER
        columns = (
            pandas.MultiIndex.from_tuples(pairs, names=["api", "measure"]) if many else [name for _, name in pairs]
        )
        index = pandas.DatetimeIndex(self.times, name="time", tz="UTC")
        data = dict(enumerate(one.values for one in self.series))
        frame = pandas.DataFrame(data, index=index, dtype="float64")
        frame.columns = columns
        return frame


def read_measurements(
    cloud: Cloud,
    cluster: RunningCluster,
    wanted: ApiStatus,
    apis: Sequence[ApiStatus],
    *,
    since: timedelta | datetime = DEFAULT_SINCE,
    until: datetime | None = None,
    period: timedelta | None = None,
    points: int = POINTS,
) -> Measurements:
    """Read what was measured of an API, or of a splitter's APIs.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        wanted: The API or splitter.
        apis: The API itself, or those of the splitter.
        since: How far back, or from when; no further than to the creation of the API, or of the oldest of several.
        until: Until when; None for now.
        period: Time that one value stands for; None chooses one that gives at most ``points`` values.
        points: See ``period``.

    Raises:
        CortexError: The period is none that CloudWatch has, or there was no API until then.
    """
    now = end_of_this_minute()
    end = now if until is None else min(now, _ceiling(until))
    start = since if isinstance(since, datetime) else now - since
    begin = max(start, min((api.created for api in apis), default=start))
    if begin >= end:
        raise CortexError(
            f"nothing was measured of {wanted.name} until {end.astimezone():%Y-%m-%d %H:%M}",
            hint=f"it was made at {begin.astimezone():%Y-%m-%d %H:%M:%S}" if begin > start else None,
        )
    length = period or shortest_period(end - begin, points, age=now - begin)
    check_period(length, end - begin, age=now - begin)
    begin = _floor(begin, length)
    times = tuple(begin + length * number for number in range(-((begin - end) // length)))
    queries = {api.name: _queries(cluster, api, length) for api in apis}
    found = read_points(cloud, [query for of_api in queries.values() for query in of_api.values()], begin, end)
    points_of = {api.name: {name: found[query] for name, query in queries[api.name].items()} for api in apis}
    return Measurements(
        name=wanted.name,
        kind=wanted.kind,
        apis=tuple(api.name for api in apis),
        times=times,
        period=length,
        counted_until=_counted_until(cloud, cluster, apis, end),
        series=tuple(_series(api, measure, times, length, points_of[api.name]) for api in apis for measure in MEASURES),
    )


def _counted_until(cloud: Cloud, cluster: RunningCluster, apis: Sequence[ApiStatus], end: datetime) -> datetime | None:
    """Ask for the last minutes one by one, as a longer period may hold more than was counted yet."""
    minute = timedelta(minutes=1)
    pulses = [query for api in apis for name, query in _queries(cluster, api, minute).items() if name == REPLICAS]
    found = read_points(cloud, pulses, end - REPORTED, end)
    return counted_until((moment for points in found.values() for moment in points), MINUTE_SECONDS)


def _queries(cluster: RunningCluster, api: ApiStatus, period: timedelta) -> Mapping[str, Query]:
    """What to ask for each measure of an API. An API that never served has no target group."""
    seconds = int(period.total_seconds())
    service = (("ClusterName", names.ecs_cluster(cluster.name)), ("ServiceName", names.service(api.name)))
    balancer = cluster.resources.load_balancer_full_name
    queries = {}
    for one in MEASURES:
        if one.source == "replicas":
            queries[one.name] = of_replicas(cluster.name, api.name, one.metric, one.statistic, seconds)
        elif one.source == "service":
            queries[one.name] = Query("AWS/ECS", one.metric, service, one.statistic, seconds)
        elif api.target_group:
            queries[one.name] = of_target_group(balancer, api.target_group, one.metric, one.statistic, seconds)
    return queries


def _series(
    api: ApiStatus,
    measure: Measure,
    times: Sequence[datetime],
    period: timedelta,
    points_of: Mapping[str, Mapping[datetime, float]],
) -> Series:
    """Place values in their periods. What a deleted API of that name left behind is none of this one's."""
    points, reported = points_of.get(measure.name, {}), points_of.get(REPLICAS, {})

    def value(moment: datetime) -> float | None:
        if moment + period <= api.created:
            return None
        if moment in points:
            return round(points[moment] * measure.factor, 6)
        return 0.0 if measure.counts and moment in reported else None

    return Series(api.name, measure.name, tuple(map(value, times)))


def shortest_period(span: timedelta, points: int, *, age: timedelta | None = None) -> timedelta:
    """Choose the shortest of ``PERIODS`` that gives so many values at most, and that CloudWatch keeps for so long."""
    oldest = age or span
    kept = next((period for until, period in KEPT if oldest <= until), KEPT[-1][1])
    fitting: Iterable[timedelta] = (period for period in PERIODS if period >= kept and span / period <= points)
    return next(iter(fitting), PERIODS[-1])


def check_period(period: timedelta, span: timedelta, *, age: timedelta | None = None) -> None:
    """Refuse a period that CloudWatch cannot answer with.

    Args:
        period: Time that one value stands for.
        span: Time from the first value to the last.
        age: Time from the first value until now; None where the last one is of now.

    Raises:
        CortexError: It is not of whole minutes, too short for so long a time, or longer than that time.
    """
    if period < timedelta(minutes=1) or period % timedelta(minutes=1):
        raise WrongCallError(
            f"a period of {in_words(period)} is not of whole minutes", hint="give one such as 1m, 5m or 1h"
        )
    oldest = age or span
    longest, kept = next(((until, kept) for until, kept in KEPT if oldest <= until), KEPT[-1])
    if oldest > longest:
        raise WrongCallError(
            f"CloudWatch keeps nothing for longer than {longest.days} days", hint="give a shorter time"
        )
    if period < kept or period % kept:
        raise WrongCallError(
            f"CloudWatch keeps no periods of {in_words(period)} for {in_words(oldest)}",
            hint=f"give a multiple of {in_words(kept)}, or a shorter time",
        )
    if span / period > MAX_POINTS:
        raise WrongCallError(
            f"{in_words(span)} in periods of {in_words(period)} would be more than {MAX_POINTS} values",
            hint=f"give a longer period, such as {in_words(shortest_period(span, POINTS))}",
        )


def _ceiling(moment: datetime) -> datetime:
    """The end of the minute that a moment lies in."""
    return -(-(moment - _EPOCH) // timedelta(minutes=1)) * timedelta(minutes=1) + _EPOCH


def _floor(moment: datetime, period: timedelta) -> datetime:
    """The beginning of the period that a moment lies in. Periods are counted from 1970, as CloudWatch does."""
    return _EPOCH + (moment - _EPOCH) // period * period


def in_words(length: timedelta) -> str:
    """Word a length of time as people type it: ``1m``, ``2h``, ``1d``; several parts where that is exact only so."""
    seconds = int(length.total_seconds())
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
