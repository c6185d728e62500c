"""One log line: JSON with ``time``, ``level`` and ``message`` first, then whatever else is known."""

from __future__ import annotations

import time
from typing import Any

import orjson


def iso(seconds: float) -> str:
    """Seconds since the epoch as UTC text with milliseconds, as in ``2026-11-23T13:50:00.123Z``."""
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1000):03d}Z"


def line(level: str, message: str, *, created: float | None = None, **fields: Any) -> bytes:
    """A log line without its newline.

    Args:
        level: Name of the level, such as ``INFO``.
        message: What happened, for people.
        created: Seconds since the epoch; None means now.
        fields: Further fields; None values are left out.
    """
    record: dict[str, Any] = {"time": iso(time.time() if created is None else created), "level": level}
    record["message"] = message
    record.update((name, value) for name, value in fields.items() if value is not None)
    try:
        return orjson.dumps(record, default=repr)
    except (TypeError, ValueError):  # lone surrogates, integers beyond 64 bits: a log line must not fail
        return orjson.dumps({name: ascii(value) for name, value in record.items()})
