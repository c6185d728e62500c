"""An API's logs, as CloudWatch has them."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from cortex_cdk.cloud import Cloud, error_code

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

POLL_SECONDS = 1.0
# Records of several replicas arrive in CloudWatch out of order and late: look back this far at each poll.
LATENESS = timedelta(seconds=30)


@dataclass(frozen=True)
class LogRecord:
    """One record of a replica.

    Attributes:
        replica: The ECS task's id.
        message: The text, or the whole line where it is not one of the serving program's records.
        fields: The record as it was written (empty for other lines).
    """

    time: datetime
    replica: str
    level: str
    message: str
    traceback: tuple[str, ...]
    fields: dict[str, Any]


def parse(event: FilteredLogEventTypeDef) -> LogRecord:
    """Turn an event of CloudWatch into a record."""
    text = event.get("message", "")
    try:
        fields = json.loads(text)
    except ValueError:
        fields = {}
    if not isinstance(fields, dict):
        fields = {}
    traceback = str(fields.get("traceback") or "")
    return LogRecord(
        time=datetime.fromtimestamp(event.get("timestamp", 0) / 1000, timezone.utc),
        replica=event.get("logStreamName", "").rsplit("/", 1)[-1],
        level=str(fields.get("level", "INFO")),
        message=str(fields.get("message", text)).rstrip("\n"),
        traceback=tuple(traceback.rstrip("\n").splitlines()),
        fields=fields,
    )


def is_metrics(record: LogRecord) -> bool:
    """Whether the record carries metrics (embedded metric format) rather than words for people."""
    return "_aws" in record.fields


def _events(cloud: Cloud, group: str, **query: Any) -> Iterator[FilteredLogEventTypeDef]:
    from botocore.exceptions import ClientError

    try:
        for page in cloud.logs.get_paginator("filter_log_events").paginate(logGroupName=group, **query):
            yield from page["events"]
    except ClientError as error:
        # A group that does not exist yet (or any more) has no events.
        if error_code(error) != "ResourceNotFoundException":
            raise


def read(cloud: Cloud, group: str, since: datetime | None = None, tail: int | None = None) -> list[LogRecord]:
    """The records that are there now, oldest first.

    Args:
        group: The log group.
        since: Only records from then on.
        tail: Only that many of the newest.
    """
    query = {"startTime": _milliseconds(since)} if since else {}
    events = deque(_events(cloud, group, **query), maxlen=tail)
    return sorted((parse(event) for event in events), key=lambda record: record.time)


def follow(cloud: Cloud, group: str, since: datetime | None = None, tail: int | None = None) -> Iterator[LogRecord]:
    """The records that are there, then new ones as they come, each once, until the caller stops."""
    start, seen = since, set[str]()
    while True:
        query = {"startTime": _milliseconds(start)} if start else {}
        fresh = [event for event in _events(cloud, group, **query) if event["eventId"] not in seen]
        seen.update(event["eventId"] for event in fresh)
        records = sorted((parse(event) for event in fresh), key=lambda record: record.time)
        yield from records[-tail:] if tail is not None else records
        tail = None
        if records:
            start = max(start or records[0].time, records[-1].time - LATENESS)
        time.sleep(POLL_SECONDS)


def fatal_record(cloud: Cloud, group: str, revision: str, task_id: str) -> LogRecord | None:
    """The record with which a replica said why it could not go on, if it did."""
    query = {"logStreamNames": [f"{revision}/{task_id}"], "filterPattern": '{ $.event = "fatal" }'}
    for event in _events(cloud, group, **query):
        record = parse(event)
        if record.fields.get("event") == "fatal":
            return record
    return None


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
