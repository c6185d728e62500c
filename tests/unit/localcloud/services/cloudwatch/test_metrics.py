"""What the local CloudWatch keeps, and what it computes."""

from __future__ import annotations

import pickle
import time

import pytest

from cortex_cdk.localcloud.services.cloudwatch.metric_math import ExpressionError, evaluate
from cortex_cdk.localcloud.services.cloudwatch.store import Bucket, MetricStore, key

LATENCY = key("Cortex", "Latency", {"Api": "iris"})


def filled(*seconds: float) -> MetricStore:
    store = MetricStore()
    for second in seconds:
        store.add("Cortex", "Latency", {"Api": "iris"}, [(second, 1.0)], at=second)
    return store


def test_statistics() -> None:
    bucket = Bucket()
    for value in range(1, 101):
        bucket.add(float(value))

    names = ("Average", "Sum", "SampleCount", "Minimum", "Maximum", "p50", "p99", "p100")
    assert [bucket.statistic(name) for name in names] == [50.5, 5050, 100, 1, 100, 50, 99, 100]
    with pytest.raises(ValueError, match="unknown statistic"):
        bucket.statistic("Median")


def test_periods() -> None:
    found = filled(0, 59, 60, 130).between(LATENCY, 0, 180, 60)

    assert {begin: bucket.statistic("Sum") for begin, bucket in found.items()} == {0: 59, 60: 60, 120: 130}


def test_what_was_measured_before_a_moment_is_left_out() -> None:
    now = time.time() // 3600 * 3600 - 4 * 3600
    old, young = filled(now + 10, now + 70), filled(time.time() - 2, time.time() - 1)

    (found,) = young.between(LATENCY, 0, time.time() + 1, time.time() + 1, not_before=time.time() - 1).values()
    assert found.count == 1
    old.compact(time.time())
    assert old.between(LATENCY, now, now + 3600, 3600, not_before=now + 60), "kept by the hour: nobody knows any more"
    assert not old.between(LATENCY, now, now + 7200, 7200, not_before=now + 3600)


def test_dimensions_name_a_metric() -> None:
    store = filled(1)

    assert store.between(key("Cortex", "Latency", {"Api": "other"}), 0, 10, 10) == {}
    assert store.between(key("Cortex", "Latency", {}), 0, 10, 10) == {}


def test_old_datapoints_are_merged_and_then_dropped() -> None:
    now = 20 * 24 * 3600.0
    store = filled(now - 1, now - 2, now - 3590, now - 3599, now - 3 * 24 * 3600, now - 19 * 24 * 3600)

    store.compact(now)

    buckets = store.series[LATENCY].buckets
    assert len(buckets) == 4
    assert sum(bucket.count for bucket in buckets.values()) == 5
    store.compact(now + 30 * 24 * 3600)
    assert store.series == {}


def test_a_snapshot_holds_what_was_measured() -> None:
    store = filled(1, 2)

    restored = pickle.loads(pickle.dumps(store))

    assert restored.series == store.series
    store.add("Cortex", "Latency", {"Api": "iris"}, [(3.0, 1.0)], at=3)
    assert pickle.loads(pickle.dumps(store)).series != store.series
    store.outdate()
    assert pickle.loads(pickle.dumps(store)).series == store.series


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("100 * errors / requests", {0: 10.0}),
        ("requests - errors", {0: 9.0}),
        ("FILL(errors, 0) / 2", {0: 0.5, 60: 0.0, 120: 2.0}),
        ("SUM([requests, errors])", {0: 11.0, 60: 0.0, 120: 4.0}),
        ("MAX(METRICS())", {0: 10.0, 60: 0.0, 120: 4.0}),
        ("-errors", {0: -1.0, 120: -4.0}),
        ("IF(requests < 5, 7, requests)", {0: 10.0, 60: 7.0}),
        ("IF(requests >= 5, errors, 0)", {0: 1.0, 60: 0.0}),
        ("2 + 3", {0: 5.0, 60: 5.0, 120: 5.0}),
    ],
)
def test_expressions(expression: str, result: dict[float, float]) -> None:
    series = {"errors": {0.0: 1.0, 120.0: 4.0}, "requests": {0.0: 10.0, 60.0: 0.0}}

    assert evaluate(expression, series, [0.0, 60.0, 120.0]) == result


@pytest.mark.parametrize("expression", ["unknown", "1 +", "__import__('os')", "errors ** 2", "SEARCH('x', 'Sum')"])
def test_expressions_that_are_not_understood(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression, {"errors": {}}, [])
