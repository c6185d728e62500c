"""From Envoy's statistics and from log events to metrics, and from metrics to the state of alarms."""

from __future__ import annotations

import json

import pytest

from cortex_cdk.localcloud.services.cloudwatch.alarms import reason_for, state_of
from cortex_cdk.localcloud.services.elbv2.metrics import Reading, parse
from cortex_cdk.localcloud.services.logs.embedded_metrics import measurements


def page(answers: int, slow: int) -> dict[str, object]:
    name = "cluster.targetgroup/iris/1.upstream_rq"
    totals = [
        {"lower_bound": 10, "width": 1, "count": answers - slow},
        {"lower_bound": 500, "width": 10, "count": slow},
    ]
    return {
        "stats": [
            {"name": f"{name}_2xx", "value": answers},
            {"name": "cluster.targetgroup/iris/1.external.upstream_rq_2xx", "value": answers},
            {"name": "http.app/main/2.downstream_rq_5xx", "value": 3},
            {"histograms": {"details": [{"name": f"{name}_time", "totals": totals}]}},
        ]
    }


def test_statistics_of_envoy() -> None:
    reading = parse(page(10, 1))

    assert dict(reading.counters) == {("targetgroup/iris/1", "rq_2xx"): 10, ("app/main/2", "rq_5xx"): 3}
    assert dict(reading.times) == {"targetgroup/iris/1": {0.0105: 9, 0.505: 1}}


def test_times_below_a_millisecond_are_not_nothing() -> None:
    totals = [{"lower_bound": 0, "width": 0, "count": 3}, {"lower_bound": 1, "width": 0.1, "count": 1}]
    details = [{"name": "cluster.targetgroup/iris/1.upstream_rq_time", "totals": totals}]
    assert parse({"stats": [{"histograms": {"details": details}}]}).times["targetgroup/iris/1"] == {
        0.0005: 3,
        0.0015: 1,
    }


def test_what_was_counted_since() -> None:
    delta = parse(page(25, 2)).since(parse(page(10, 1)))

    assert delta.counters["targetgroup/iris/1", "rq_2xx"] == 15
    assert delta.counters["app/main/2", "rq_5xx"] == 0
    assert delta.times["targetgroup/iris/1"] == {0.0105: 14, 0.505: 1}


def test_counters_of_a_new_envoy_begin_at_zero() -> None:
    delta = parse(page(4, 0)).since(parse(page(10, 1)))

    assert delta.counters["targetgroup/iris/1", "rq_2xx"] == 4
    assert delta.times["targetgroup/iris/1"] == {0.0105: 4}
    assert parse(page(4, 1)).since(Reading()).counters["targetgroup/iris/1", "rq_2xx"] == 4


def test_embedded_metrics() -> None:
    directive = {
        "Namespace": "Cortex",
        "Dimensions": [["Api"], ["Api", "Version"]],
        "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}],
    }
    event = {
        "_aws": {"Timestamp": 2000, "CloudWatchMetrics": [directive]},
        "Api": "iris",
        "Version": 3,
        "Latency": [1, 2.5],
    }

    first, second = measurements(json.dumps(event))

    assert (first.namespace, first.name, first.at, first.unit) == ("Cortex", "Latency", 2.0, "Milliseconds")
    assert dict(first.measured.values) == {1.0: 1, 2.5: 1}
    assert (first.dimensions, second.dimensions) == ({"Api": "iris"}, {"Api": "iris", "Version": "3"})


def test_an_embedded_distribution_has_exact_totals() -> None:
    distribution = {"Values": [1, 4], "Counts": [2, 1], "Min": 0.9, "Max": 4.1, "Sum": 6.2, "Count": 3}
    directive = {"Namespace": "Cortex", "Dimensions": [["Api"]], "Metrics": [{"Name": "Prediction"}]}
    event = {
        "_aws": {"Timestamp": 2000, "CloudWatchMetrics": [directive]},
        "Api": "iris",
        "Prediction": distribution,
    }

    [found] = measurements(json.dumps(event))

    names = ("SampleCount", "Sum", "Minimum", "Maximum", "p50")
    assert [found.measured.statistic(name) for name in names] == [3, 6.2, 0.9, 4.1, 1]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "text",
        '{"_aws": 1}',
        '{"_aws": {}}',
        'not json "_aws"',
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{}]}}',
    ],
)
def test_other_log_events_carry_no_metrics(message: str) -> None:
    assert list(measurements(message)) == []


@pytest.mark.parametrize(
    ("datapoints", "needed", "missing", "state"),
    [
        ([1, 9, 9], 2, "missing", "ALARM"),
        ([1, 9, 1], 2, "missing", "OK"),
        ([None, 9, 9], 2, "missing", "ALARM"),
        ([None, None, None], 2, "missing", "INSUFFICIENT_DATA"),
        ([None, None, None], 2, "notBreaching", "OK"),
        ([None, None, None], 2, "breaching", "ALARM"),
        ([None, None, None], 2, "ignore", "as before"),
    ],
)
def test_states_of_alarms(datapoints: list[float | None], needed: int, missing: str, state: str) -> None:
    found = state_of(datapoints, breaches=lambda value: value > 5, needed=needed, missing=missing, current="as before")

    assert found == state


def test_missing_data_is_the_reason_even_where_older_data_is_there() -> None:
    reason = reason_for("INSUFFICIENT_DATA", [7, 8, None, None, None], "LessThanThreshold", 5)

    assert reason == "Insufficient Data: 3 datapoints were unknown."
