"""Stores and restores log groups with their newest events.

The records are written when the local cloud stops. Events come all the time, and writing them each time would cost more
than it saves: events of a daemon that was killed, if the snapshot cannot be read afterwards.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moto.logs.models import LogEvent, LogGroup, logs_backends

from cortex_cdk.localcloud.daemon.records.store import Record
from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION

FOLDER = "log-groups"


def read() -> dict[str, Record]:
    """Return the record of every log group by its name."""
    backend: Any = logs_backends[ACCOUNT_ID][REGION]
    return {name: _described(backend, group) for name, group in backend.groups.items()}


def restore(record: Record) -> None:
    """Put the events of a log group in place, and make the group where no stack has made it."""
    backend: Any = logs_backends[ACCOUNT_ID][REGION]
    name = record["name"]
    if name not in backend.groups:
        backend.create_log_group(name, record["tags"])
        if record["retention"]:
            backend.put_retention_policy(name, record["retention"])
    group = backend.groups[name]
    group.creation_time = datetime.fromisoformat(record["created"])
    for stream_name, stored in record["streams"].items():
        if stream_name not in group.streams:
            group.create_log_stream(stream_name)
        stream = group.streams[stream_name]
        stream.creation_time = datetime.fromisoformat(stored["created"])
        stream.stored_bytes, stream.upload_sequence_token = stored["bytes"], stored["writes"]
        stream.last_ingestion_time = datetime.fromisoformat(stored["ingested"]) if stored["ingested"] else None
        stream.events = [
            LogEvent(ingested, {"timestamp": timestamp, "message": message})
            for timestamp, ingested, message in stored["events"]
        ]


def _described(backend: Any, group: LogGroup) -> Record:
    return {
        "name": group.name,
        "created": group.creation_time.isoformat(),
        "retention": group.retention_in_days,
        "tags": backend.list_tags_for_resource(group.arn),
        "streams": {
            name: {
                "created": stream.creation_time.isoformat(),
                "ingested": stream.last_ingestion_time.isoformat() if stream.last_ingestion_time else None,
                "bytes": stream.stored_bytes,
                "writes": stream.upload_sequence_token,
                "events": [[event.timestamp, event.ingestion_time, event.message] for event in stream.events],
            }
            for name, stream in group.streams.items()
        },
    }
