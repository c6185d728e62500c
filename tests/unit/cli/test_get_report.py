"""What ``cortex get`` prints, as golden files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
import pytest
from cortex_cli.get_report import detail, overview
from cortex_cli.output import age, latency

from cortex_cdk.aws.console_links import Links
from cortex_cdk.replicas.running import LastError, Replica
from cortex_cdk.replicas.stopped import StoppedReplica
from cortex_cdk.replicas.usage import GpuUsage, Usage
from cortex_cdk.status.alarms import Alarm
from cortex_cdk.status.decide_status import Replicas
from cortex_cdk.status.metrics import Batching, CountedByReplicas, Predictions, Traffic
from cortex_cdk.status.read_status import ApiStatus, Variant
from cortex_cdk.status.report import Member, Report
from cortex_cdk.status.scaling_activities import ScalingActivity
from tests.golden_file import compare

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


def api(name: str = "iris", **changed: Any) -> ApiStatus:
    status = ApiStatus(
        name=name,
        kind="RealtimeAPI",
        status="live",
        endpoint=f"http://127.0.0.1:8080/{name}",
        revision="3185d7c42311",
        replicas=Replicas(requested=2, up_to_date=2, stale=0, failed=0),
        created=NOW - timedelta(days=1),
        last_update=NOW - timedelta(minutes=5),
    )
    return replace(status, **changed)


def splitter(**weights: int) -> ApiStatus:
    variants = tuple(Variant(name, weight) for name, weight in weights.items())
    nothing = Replicas(0, 0, 0, 0)
    return api("shared", kind="TrafficSplitter", revision="", replicas=nothing, variants=variants)


def counted(predictions: Predictions | None = None, batching: Batching | None = None) -> CountedByReplicas:
    return CountedByReplicas(predictions, batching)


def replica(id_: str, **changed: Any) -> Replica:
    one = Replica(
        id=id_ * 4,
        revision="3185d7c42311",
        state="running",
        health="healthy",
        health_reason=None,
        started=NOW - timedelta(minutes=5),
        memory_limit_bytes=512 * MIB,
        usage=IDLE,
        last_error=None,
    )
    return replace(one, **changed)


BATCHING = Batching(7.64, 0.0031, 0.012)
MIB = 2**20
IDLE = Usage("3185d7c42311", cpu=0.004, memory_bytes=181 * MIB, models={"english": ("1", "2")})
BUSY = Usage("3185d7c42311", cpu=0.91, memory_bytes=405 * MIB, models={"english": ("1",)})
ON_GPU = Usage("3185d7c42311", 1.5, 2 * 1024 * MIB, (GpuUsage(35.0, 4.1 * 1024 * MIB, 24 * 1024 * MIB),))
REPLICAS = (
    replica("0f3a5c1e"),
    replica("7c2bd0aa", usage=BUSY, last_error=LastError(NOW - timedelta(minutes=2), "KeyError: 'sepal_length'")),
    replica("9e2c4b11", state="pending", health=None, started=None, usage=None),
    replica("a1b2c3d4", health="unhealthy", health_reason="Health checks failed with these codes: [503]"),
)
TRAFFIC = Traffic(average_latency=0.0241, p99_latency=1.2468, answers_2xx=1204)
BROKEN = api(
    "sick",
    status="error",
    replicas=Replicas(requested=3, up_to_date=1, stale=2, failed=2),
    reason="ValueError: no such iris",
)
NAMES = ["first-classifier", "second-classifier", "third-classifier", "fourth-classifier", "fifth-classifier"]
LINKS = Links("https://dashboard.example", "https://logs.example", "https://service.example")
ACTIVITIES = (
    ScalingActivity(NOW - timedelta(hours=1), "Successful", "Setting desired count to 2.", "alarm High in state ALARM"),
    ScalingActivity(NOW - timedelta(hours=3), "Failed", "Setting desired count to 9.", "alarm High in state ALARM"),
    ScalingActivity(
        NOW - timedelta(hours=4),
        "Successful",
        "Setting desired count to 3.",
        "monitor alarm TargetTracking-service/cortex-local/iris-AlarmLow-f4b3a701-63d6-404e-b903-85d2aba328f6 in state "
        "ALARM triggered policy cortexlocalapiirisServiceTaskCountTargetRequestsPerTargetE2335505",
    ),
)
WAITING = (ScalingActivity(NOW, "InProgress", "Setting desired count to 10.", "minimum capacity was set to 10"),)
STOPPED = (
    StoppedReplica(
        "0f3a5c1e9b7d4e21a6c8d0f2b4a69788",
        NOW - timedelta(minutes=3),
        "OutOfMemoryError: Container killed due to memory usage (exit code 137)",
        137,
    ),
    StoppedReplica("7c2b", NOW - timedelta(minutes=41), "Host EC2 instance terminated.", None),
)
ALARMS = (
    Alarm("a", NOW - timedelta(minutes=3), "More than 10 % of the answers of API iris are server errors"),
    Alarm("b", NOW - timedelta(hours=2), "A replica of API iris fails its health check"),
)
MEMBERS = (
    Member("iris", 90, 9021, 90.21, ("other-splitter",), Report(api(), TRAFFIC)),
    Member("sick", 10, 979, 9.79, (), Report(BROKEN, replace(TRAFFIC, answers_5xx=2))),
    Member("gone", 0, 0, 0.0, (), None),
)

WORKING = Report(
    api(),
    TRAFFIC,
    counted_until=NOW - timedelta(minutes=2),
    usage=(IDLE, BUSY),
    counted=counted(batching=BATCHING),
)
VIEWS: dict[str, Callable[[], str]] = {
    "nothing": lambda: overview({"local": []}, NOW),
    "overview": lambda: overview({"local": [Report(api(), TRAFFIC), Report(api("new"), Traffic())]}, NOW),
    "overview-errors": lambda: overview(
        {"local": [Report(api(), TRAFFIC)], "prod": [Report(BROKEN, replace(TRAFFIC, answers_4xx=3, answers_5xx=17))]},
        NOW,
    ),
    "overview-splitters": lambda: overview(
        {"prod": [Report(api()), Report(splitter(iris=90, other=10)), Report(splitter(**dict.fromkeys(NAMES, 20)))]},
        NOW,
    ),
    "detail": lambda: detail(Report(api(), TRAFFIC), NOW),
    "detail-until": lambda: detail(WORKING, NOW),
    "detail-replicas": lambda: detail(Report(api(), TRAFFIC, replicas=REPLICAS), NOW, width=80),
    "detail-replicas-narrow": lambda: detail(Report(api(), TRAFFIC, replicas=REPLICAS), NOW, width=60),
    "detail-gpu": lambda: detail(
        Report(api(), TRAFFIC, usage=(ON_GPU,), replicas=(replica("0f3a5c1e", usage=ON_GPU),)), NOW
    ),
    "detail-error": lambda: detail(Report(BROKEN, Traffic()), NOW),
    "detail-classes": lambda: detail(
        Report(api(), TRAFFIC, counted=counted(Predictions({"setosa": 812, "versicolor": 90}, more_classes=True))), NOW
    ),
    "detail-numbers": lambda: detail(
        Report(api(), TRAFFIC, counted=counted(Predictions({}, minimum=-1.5, maximum=1234567.8, average=3.14159265))),
        NOW,
    ),
    "detail-aws": lambda: detail(Report(api(), TRAFFIC, activities=ACTIVITIES, links=LINKS), NOW),
    "detail-splitter": lambda: detail(Report(splitter(iris=90, sick=10), members=MEMBERS), NOW),
    "detail-narrow": lambda: detail(Report(api(), TRAFFIC, activities=ACTIVITIES), NOW, width=80),
    "detail-stopped": lambda: detail(Report(api(), TRAFFIC, stopped=STOPPED), NOW),
    "detail-maximum": lambda: detail(Report(api(), TRAFFIC, activities=WAITING, maximum=10), NOW),
    "detail-alarms": lambda: detail(Report(api(), TRAFFIC, alarms=ALARMS), NOW),
    "overview-narrow": lambda: overview({"local": [Report(api(), TRAFFIC), Report(BROKEN, Traffic())]}, NOW, width=80),
    "detail-splitter-new": lambda: detail(
        Report(splitter(iris=100), members=(Member("iris", 100, 0, None, (), Report(api(), Traffic())),)), NOW
    ),
}


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of day are told in the zone of this machine."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize("name", VIEWS)
def test_view(name: str) -> None:
    compare(click.unstyle(VIEWS[name]()) + "\n", GOLDEN / f"get-{name}.txt")


CONFIGURATION = {
    "name": "iris",
    "kind": "RealtimeAPI",
    "predictor": {
        "type": "python",
        "path": "predictor.py",
        "config": {"bytes": 1048576, "seconds": 60.0},
        "startup_timeout": 600.0,
        "shm_size": 2**30,
    },
    "compute": {"cpu": 0.5, "mem": 512 * MIB, "gpu": 0},
    "autoscaling": {"target_replica_concurrency": 1.0, "downscale_stabilization_period": 300.0, "max_replicas": 10},
}
LONG = api("sentiment-of-reviews-in-twelve-languages")
AT_WIDTHS: dict[str, Callable[[int], str]] = {
    "overview": lambda width: overview(
        {
            "local": [
                Report(api(), TRAFFIC, counted_until=NOW - timedelta(minutes=1)),
                Report(BROKEN, TRAFFIC, counted_until=NOW - timedelta(minutes=2)),
            ],
            "prod": [Report(splitter(iris=90, sick=10))],
        },
        NOW,
        width,
    ),
    "overview-many": lambda width: overview(
        {"production": [*(Report(api(name), TRAFFIC) for name in NAMES), Report(LONG, TRAFFIC)]}, NOW, width
    ),
    "detail": lambda width: detail(Report(api(), TRAFFIC, activities=ACTIVITIES, stopped=STOPPED), NOW, width),
    "verbose": lambda width: detail(replace(WORKING, replicas=REPLICAS, configuration=CONFIGURATION), NOW, width),
    "splitter": lambda width: detail(Report(splitter(iris=90, sick=10), members=MEMBERS), NOW, width),
}


def test_a_long_reason_is_broken_at_words() -> None:
    undone = "the last update failed and was undone; the revision before it is deployed"
    shown = detail(Report(replace(api(), reason=undone), TRAFFIC), NOW, 60)
    assert "reason: the last update failed and was undone; the revision\n  before it is deployed\n" in shown
    assert f"reason: {undone}\n" in detail(Report(replace(api(), reason=undone), TRAFFIC), NOW)


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("name", AT_WIDTHS)
def test_view_at_width(name: str, width: int) -> None:
    compare(click.unstyle(AT_WIDTHS[name](width)) + "\n", GOLDEN / f"get-{name}-{width}.txt")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (-5, "0s"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0241, "24.1 ms"), (0.000123, "0.123 ms"), (0.99949, "999 ms"), (0.9996, "1 s"), (75.26, "75.3 s")],
)
def test_latencies(seconds: float, text: str) -> None:
    assert latency(seconds) == text
