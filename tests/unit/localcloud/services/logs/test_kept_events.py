"""What is kept of logs that never stop coming."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from moto.logs.models import LogEvent, LogGroup, LogsBackend, LogStream

from cortex_cdk.localcloud.services.logs import kept_events
from cortex_cdk.localcloud.services.logs.kept_events import forget_oldest

METRICS = '{"_aws": {}, "InFlight": 0}'


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> LogGroup:
    for name, bound in {"EVENTS": 20, "EVENTS_OF_GROUP": 50, "METRIC_EVENTS": 3, "STREAMS": 4}.items():
        monkeypatch.setattr(kept_events, f"KEPT_{name}", bound)
    made: LogGroup = LogsBackend("us-east-1", "123456789012").create_log_group("/cortex/local/api", {})
    return made


def write(group: LogGroup, name: str, *messages: str, age: int = 0) -> LogStream:
    stream = group.streams.setdefault(name, LogStream(group, name))
    now = int(time.time() * 1000)
    stream.events += [LogEvent(now, {"timestamp": now, "message": message}) for message in messages]
    stream.last_ingestion_time = datetime(2026, 1, 1) - timedelta(hours=age)
    return stream


def messages(stream: LogStream) -> list[str]:
    return [event.message for event in stream.events]


def test_an_idle_night_does_not_push_out_what_was_said(group: LogGroup) -> None:
    stream = write(group, "replica", METRICS, "started", *[METRICS] * 100, "asked", METRICS)
    forget_oldest(group)
    assert messages(stream) == ["started", METRICS, METRICS, "asked", METRICS]


def test_a_stream_keeps_its_newest_events(group: LogGroup) -> None:
    stream = write(group, "replica", *map(str, range(100)))
    forget_oldest(group)
    assert messages(stream) == [str(number) for number in range(80, 100)]


def test_a_group_keeps_the_newest_events_of_its_streams(group: LogGroup) -> None:
    """Each deployment makes other streams: those of replicas that ended long ago lose their events first."""
    streams = [write(group, f"replica-{age}", *map(str, range(20)), age=age) for age in (2, 0, 3, 1)]
    forget_oldest(group)
    assert [len(stream.events) for stream in streams] == [10, 20, 0, 20]
    assert messages(streams[0]) == [str(number) for number in range(10, 20)]


def test_a_group_keeps_its_newest_streams(group: LogGroup) -> None:
    for age in range(10):
        write(group, f"replica-{age}", "said", age=age)
    forget_oldest(group)
    assert sorted(group.streams) == [f"replica-{age}" for age in range(4)]


def test_what_is_little_stays(group: LogGroup) -> None:
    stream = write(group, "replica", "started", METRICS, METRICS, "asked")
    forget_oldest(group)
    assert messages(stream) == ["started", METRICS, METRICS, "asked"]
