"""Log records, as replicas write them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from cortex_serving.contract import METRICS_FIELD, split_log_stream

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef


@dataclass(frozen=True)
class LogRecord:
    """One record of a replica.

    Attributes:
        time: When it was written.
        replica: The ECS task's id.
        revision: The API's revision that the replica runs.
        level: Such as ``INFO``.
        message: The text, or the whole line where the serving program did not write it.
        traceback: The lines of a traceback, if there is one.
        fields: The record as it was written (empty for other lines).
    """

    time: datetime
    replica: str
    revision: str
    level: str
    message: str
    traceback: tuple[str, ...]
    fields: dict[str, Any]

    def __repr__(self) -> str:
        lines = "\n".join([self.message, *self.traceback])
        return f"<{self.time:%Y-%m-%d %H:%M:%S} {self.replica[:8]} {self.level} {lines}>"


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
    revision, replica = split_log_stream(event.get("logStreamName", ""))
    return LogRecord(
        time=datetime.fromtimestamp(event.get("timestamp", 0) / 1000, timezone.utc),
        replica=replica,
        revision=revision,
        level=str(fields.get("level", "INFO")),
        message=str(fields.get("message", text)).rstrip("\n"),
        traceback=tuple(traceback.rstrip("\n").splitlines()),
        fields=fields,
    )


def is_metrics(record: LogRecord) -> bool:
    """Whether a record carries metrics (embedded metric format) rather than words for people."""
    return METRICS_FIELD in record.fields
