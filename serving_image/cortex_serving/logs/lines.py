"""One log line: JSON with ``time``, ``level`` and ``message`` first, then whatever else is known."""

from __future__ import annotations

import time
from operator import methodcaller
from typing import Any

import orjson

from cortex_serving.contract import MAX_LOG_LINE_BYTES
from cortex_serving.results.json_values import plain

LONGEST_MESSAGE = 4_000_000
"""Characters of a message that are logged, in as many lines as they need; of the rest, only its length."""
_LONGEST_FIELD = 1000
_LONGEST_NAME = 50
_MOST_FIELDS = 20
_START = b'{"time":"'
_STARTS = methodcaller("startswith", _START)


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
        return orjson.dumps(record, default=_known)
    except (TypeError, ValueError):  # lone surrogates, integers beyond 64 bits: a log line must not fail
        return orjson.dumps({name: _plain(value) for name, value in record.items()})


def lines(level: str, message: str, **fields: Any) -> list[bytes]:
    """As ``line``, in several lines if it would be too long for one; they are numbered (``part``)."""
    whole = line(level, message, **fields)
    if len(whole) <= MAX_LOG_LINE_BYTES:
        return [whole]
    if (over := len(message) - LONGEST_MESSAGE) > 0:
        message = f"{message[:LONGEST_MESSAGE]} [{over} more characters]"
    fields = {name[:_LONGEST_NAME]: _short(value) for name, value in list(fields.items())[:_MOST_FIELDS]}
    pieces = _pieces(message)
    return [line(level, piece, part=f"{n}/{len(pieces)}", **fields) for n, piece in enumerate(pieces, 1)]


def are_simple(found: list[bytes]) -> bool:
    """Whether all are whole lines without objects or braces in them, as access lines are.

    Looked at together, as there are thousands a second of them: that costs half of what ``mended`` does.
    """
    if not all(map(_STARTS, found)):
        return False
    together = b"".join(found)
    return together.count(b"{") == together.count(b"}") == len(found)


def mended(content: bytes, **fields: Any) -> list[bytes]:
    """Lines for what should be one line as written here, but may be pieces of some.

    A process that is killed while it writes leaves a piece, to which the next writer's line is joined. Quotes within
    a line are escaped, so that the start of one is found nowhere else.
    """
    if content.startswith(_START) and content.endswith(b"}") and content.find(_START, 1) < 0:
        return [content]
    return lines("WARNING", content.decode("utf-8", "replace"), event="broken_line", **fields) if content else []


def last_state(text: str) -> str:
    """What a terminal shows of a line: a progress bar returns to its start and writes over it."""
    return text.rstrip("\r").rpartition("\r")[2]


def _known(value: Any) -> Any:
    try:
        return plain(value)
    except Exception:  # whatever it is, and whatever its own methods raise
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
    """A message cut in pieces that fit into a line each."""
    # A character may take six bytes, and every field be full of such.
    if len(orjson.dumps(_plain(message))) <= MAX_LOG_LINE_BYTES - 7 * _MOST_FIELDS * (_LONGEST_FIELD + _LONGEST_NAME):
        return [message]
    middle = len(message) // 2
    return _pieces(message[:middle]) + _pieces(message[middle:])
