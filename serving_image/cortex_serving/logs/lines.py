"""Writes log lines: JSON objects with ``time``, ``level`` and ``message`` first, then further fields."""

from __future__ import annotations

import time
from operator import methodcaller
from typing import Any

import orjson

from cortex_serving.contract import MAX_LOG_LINE_BYTES
from cortex_serving.results.json_values import OPTIONS, for_orjson

LONGEST_MESSAGE = 4_000_000
"""Most characters of a message that are logged, in as many lines as they need. A longer message is cut."""
_LONGEST_FIELD = 1000
_LONGEST_NAME = 50
_MOST_FIELDS = 20
_START = b'{"time":"'
_STARTS = methodcaller("startswith", _START)


def iso(seconds: float) -> str:
    """Word a time, given in seconds since the epoch, in UTC with milliseconds: ``2026-11-23T13:50:00.123Z``."""
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1000):03d}Z"


def line(level: str, message: str, *, created: float | None = None, **fields: Any) -> bytes:
    """Write a log line. Never raises.

    Args:
        level: Name of the level, such as ``INFO``.
        message: What happened, for people.
        created: Seconds since the epoch; None means now.
        fields: Further fields; fields that are None are left out.

    Returns:
        JSON text without a newline at its end.
    """
    record: dict[str, Any] = {"time": iso(time.time() if created is None else created), "level": level}
    record["message"] = message
    record.update((name, value) for name, value in fields.items() if value is not None)
    try:
        return orjson.dumps(record, _known, OPTIONS)
    except (TypeError, ValueError):  # lone surrogates, integers beyond 64 bits
        return orjson.dumps({name: _plain(value) for name, value in record.items()})


def lines(level: str, message: str, **fields: Any) -> list[bytes]:
    """Write a log line as ``line``, or several numbered ones (``part``) if it is longer than ``MAX_LOG_LINE_BYTES``."""
    whole = line(level, message, **fields)
    if len(whole) <= MAX_LOG_LINE_BYTES:
        return [whole]
    if (over := len(message) - LONGEST_MESSAGE) > 0:
        message = f"{message[:LONGEST_MESSAGE]} [{over} more characters]"
    fields = {name[:_LONGEST_NAME]: _short(value) for name, value in list(fields.items())[:_MOST_FIELDS]}
    pieces = _pieces(message)
    return [line(level, piece, part=f"{n}/{len(pieces)}", **fields) for n, piece in enumerate(pieces, 1)]


def are_simple(found: list[bytes]) -> bool:
    """Return whether all lines are whole and have no braces inside, as access lines have none.

    There are thousands of access lines a second. Checking them together costs half as much as ``repair_line``.
    """
    if not all(map(_STARTS, found)):
        return False
    together = b"".join(found)
    return together.count(b"{") == together.count(b"}") == len(found)


def repair_line(content: bytes, **fields: Any) -> list[bytes]:
    """Turn content that should be one line of this module, but may be broken, into valid lines.

    A process that is killed while it writes leaves a piece of a line, and the next writer's line follows at once. The
    beginning of a line cannot occur inside one, because quotes are escaped there.

    Args:
        content: The content, without a newline at its end.
        fields: Further fields for the warning that holds broken content.
    """
    if content.startswith(_START) and content.endswith(b"}") and content.find(_START, 1) < 0:
        return [content]
    return lines("WARNING", content.decode("utf-8", "replace"), event="broken_line", **fields) if content else []


def last_state(text: str) -> str:
    """Return the part of a line that a terminal still shows: progress bars return to the start and write over it."""
    return text.rstrip("\r").rpartition("\r")[2]


def _known(value: Any) -> Any:
    try:
        return for_orjson(value)
    except Exception:  # the methods of the user's objects may raise anything
        return repr(value)


def _short(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text[:_LONGEST_FIELD]


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value if isinstance(value, int | float) and abs(value) < 2**63 else repr(value)


def _pieces(message: str) -> list[str]:
    """Cut a message into pieces that fit into a line each."""
    # A character may take six bytes in JSON, and all fields may be full of such characters.
    if len(orjson.dumps(_plain(message))) <= MAX_LOG_LINE_BYTES - 7 * _MOST_FIELDS * (_LONGEST_FIELD + _LONGEST_NAME):
        return [message]
    middle = len(message) // 2
    return _pieces(message[:middle]) + _pieces(message[middle:])
