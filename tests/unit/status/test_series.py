"""What was measured over time: gaps are no zeros, and periods are such as CloudWatch keeps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.errors import CortexError
from cortex_cdk.status.decide_status import Replicas
from cortex_cdk.status.read_status import ApiStatus
from cortex_cdk.status.series import (
    KEPT,
    MEASURES,
    PERIODS,
    Measurements,
    check_period,
    in_words,
    read_measurements,
    shortest_period,
)
from cortex_cdk.status.series_files import as_csv

MINUTE = timedelta(minutes=1)
NOW = datetime.now(timezone.utc).replace(second=0, microsecond=0)
CLUSTER = cast(
    RunningCluster, SimpleNamespace(name="local", resources=SimpleNamespace(load_balancer_full_name="app/cortex/1"))
)


def api(name: str, created: datetime, target_group: str | None = "targetgroup/t/1") -> ApiStatus:
    nothing = Replicas(1, 1, 0, 0)
    return ApiStatus(name, "RealtimeAPI", "live", "", "r", nothing, created, created, target_group=target_group)


@pytest.fixture(autouse=True)
def _this_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the minute that runs the same, however long a test takes."""
    monkeypatch.setattr("cortex_cdk.status.series.end_of_this_minute", lambda: NOW + MINUTE)


class CloudWatch:
    """Answers GetMetricData with the same points for every query of a metric and statistic."""

    def __init__(self, points: Mapping[tuple[str, str], Mapping[datetime, float]]) -> None:
        self.calls = 0
        self._points = points

    def get_paginator(self, _: str) -> CloudWatch:
        return self

    def paginate(self, *, MetricDataQueries: list[Any], StartTime: datetime, EndTime: datetime) -> list[Any]:
        self.calls += 1
        results = []
        for query in MetricDataQueries:
            of = query["MetricStat"]
            points = self._points.get((of["Metric"]["MetricName"], of["Stat"]), {})
            within = {moment: value for moment, value in points.items() if StartTime <= moment < EndTime}
            results.append({"Id": query["Id"], "Timestamps": list(within), "Values": list(within.values())})
        return [{"MetricDataResults": results}]


def read(cloudwatch: CloudWatch, *apis: ApiStatus, **options: Any) -> Measurements:
    return read_measurements(cast(Cloud, SimpleNamespace(cloudwatch=cloudwatch)), CLUSTER, apis[0], apis, **options)


def test_a_gap_is_no_zero() -> None:
    pulse = {NOW - 5 * MINUTE: 1.0, NOW - 4 * MINUTE: 2.0, NOW - 2 * MINUTE: 2.0}
    answers = CloudWatch(
        {
            ("HealthyHostCount", "Maximum"): pulse,
            ("RequestCount", "Sum"): {NOW - 4 * MINUTE: 7.0},
            ("TargetResponseTime", "p99"): {NOW - 4 * MINUTE: 0.25},
        }
    )
    found = read(answers, api("iris", NOW - 5 * MINUTE), period=MINUTE)
    assert found.times == tuple(NOW + MINUTE * number for number in range(-5, 1))
    assert found.of("replicas").values == (1, 2, None, 2, None, None)
    # Zero only where the load balancer was there to count.
    assert found.of("requests").values == (0, 7, None, 0, None, None)
    assert found.of("p99_latency_ms").values == (None, 250, None, None, None, None)
    assert found.counted_until == NOW - MINUTE
    assert answers.calls == 2


def test_what_was_before_an_api_is_none_of_it() -> None:
    everything = {NOW - MINUTE * number: 3.0 for number in range(10)}
    metrics = {("HealthyHostCount", "Maximum"): everything, ("InFlight", "Average"): everything}
    older, newer = api("older", NOW - 4 * MINUTE), api("newer", NOW - 2 * MINUTE)
    found = read(CloudWatch(metrics), older, newer, period=MINUTE)
    assert found.of("in_flight", "older").values == (3, 3, 3, 3, 3)
    assert found.of("in_flight", "newer").values == (None, None, 3, 3, 3)


def test_an_api_that_never_served_has_no_measurements() -> None:
    found = read(CloudWatch({}), api("iris", NOW - MINUTE, target_group=None))
    assert found.counted_until is None
    assert not any(series.measured for series in found.series)


def test_tables() -> None:
    points = {NOW - MINUTE: 2.0}
    answers = CloudWatch({("HealthyHostCount", "Maximum"): points, ("RequestCount", "Sum"): points})
    found = read(answers, api("iris", NOW - MINUTE), period=MINUTE)
    header, first, second = as_csv(found).decode().splitlines()
    assert header.split(",") == ["time", "api", *(measure.name for measure in MEASURES)]
    assert first.startswith(f"{(NOW - MINUTE).isoformat()},iris,2.0,0.0,0.0,,")
    assert second == f"{NOW.isoformat()},iris" + "," * len(MEASURES)
    frame = found.to_frame()
    assert list(frame.columns) == [measure.name for measure in MEASURES]
    assert frame["requests"].sum() == 2
    assert frame.index[0] == NOW - MINUTE
    assert frame["p50_latency_ms"].isna().all()


spans = st.timedeltas(MINUTE, KEPT[-1][0])


@given(spans, st.integers(20, 500))
def test_a_period_that_is_chosen_is_one_that_cloudwatch_keeps(span: timedelta, points: int) -> None:
    chosen = shortest_period(span, points)
    assert chosen in PERIODS
    assert span / chosen <= points
    check_period(chosen, span)


@given(spans, st.timedeltas(timedelta(seconds=1), timedelta(days=2)))
def test_a_period_is_refused_in_words_or_can_be_asked_for(span: timedelta, period: timedelta) -> None:
    kept = next(shortest for age, shortest in KEPT if span <= age)
    try:
        check_period(period, span)
    except CortexError as refused:
        assert refused.hint
        assert "\n" not in refused.message
    else:
        assert period % kept == timedelta()


@pytest.mark.parametrize(
    ("length", "words"),
    [(MINUTE, "1m"), (timedelta(hours=36), "1d12h"), (timedelta(0), "0s"), (timedelta(seconds=90), "1m30s")],
)
def test_lengths_of_time(length: timedelta, words: str) -> None:
    assert in_words(length) == words
