"""Bounds what is kept of logs, which never stop coming: CloudWatch has room for all, a laptop has not."""

from __future__ import annotations

from datetime import datetime

from moto.logs.models import LogEvent, LogGroup, LogStream

from cortex_cdk.localcloud.services.logs.embedded_metrics import MARK
from cortex_cdk.localcloud.stored_once import StoredOnce

KEPT_EVENTS = 5_000
"""How many of the newest events each log stream keeps."""
KEPT_EVENTS_OF_GROUP = 2 * KEPT_EVENTS
"""How many of the newest events each log group keeps. Each deployment makes other streams."""
KEPT_METRIC_EVENTS = 100
"""How many of its newest events that carry metrics each log stream keeps. A replica that nobody asks sends six a
minute, and nothing else: after a night they would have replaced all other events."""
KEPT_STREAMS = 500
"""How many log streams each log group keeps, those with the newest events. A crash loop starts thousands a day."""


def forget_oldest(group: LogGroup) -> None:
    """Forget all of a log group but the newest log streams and events, and have what is kept stored quickly."""
    streams = list(group.streams.values())
    for stream in streams:
        if not isinstance(stream.events, StoredOnce):
            stream.events = StoredOnce(stream.events)
        if len(stream.events) > KEPT_METRIC_EVENTS:
            _forget_metric_events(stream)
        del stream.events[:-KEPT_EVENTS]
    too_many = len(streams) > KEPT_STREAMS or sum(len(stream.events) for stream in streams) > KEPT_EVENTS_OF_GROUP
    if too_many:
        _forget_streams(group, sorted(streams, key=_age, reverse=True))


def _forget_metric_events(stream: LogStream) -> None:
    """Their values are in the metrics (``LocalLogs.put_log_events``)."""
    carriers = [event for event in stream.events if MARK in event.message]
    if len(carriers) > KEPT_METRIC_EVENTS:
        old = {event.event_id for event in carriers[:-KEPT_METRIC_EVENTS]}
        stream.events[:] = [event for event in stream.events if event.event_id not in old]


def _forget_streams(group: LogGroup, newest_first: list[LogStream]) -> None:
    for stream in newest_first[KEPT_STREAMS:]:
        del group.streams[stream.log_stream_name]
    room = KEPT_EVENTS_OF_GROUP
    for stream in newest_first[:KEPT_STREAMS]:
        events: list[LogEvent] = stream.events
        del events[: max(0, len(events) - room)]
        room -= len(events)


def _age(stream: LogStream) -> datetime:
    # Not by creation: a replica that has lived long may still write to the first stream.
    return stream.last_ingestion_time or stream.creation_time
