"""Generators as responses: what ``predict`` yields is sent as it comes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

EVENT_STREAM = "text/event-stream"


def is_stream(value: Any) -> bool:
    """Whether a returned value is produced piece by piece (a generator or another iterator)."""
    return hasattr(value, "__next__")


def open_stream(
    items: Iterator[Any], media_type: str | None, dump: Callable[[Any], bytes]
) -> tuple[str, Iterator[bytes]]:
    """Content type and chunks of a streamed response.

    The first item is produced before anything is sent, so that an error in it still becomes a proper response.

    Args:
        items: What ``predict`` yields.
        media_type: The predictor's choice; ``text/event-stream`` makes every item an event. None goes by
            the first item.
        dump: Writes a value as JSON.
    """
    first = next(items, None)
    rest = items if first is None else itertools.chain([first], items)
    if media_type is not None and media_type.startswith(EVENT_STREAM):
        return media_type, (_event(item, dump) for item in rest)
    if media_type is None:
        media_type = _media_type(first)
    return media_type, (_chunk(item, dump) for item in rest)


def _media_type(first: Any) -> str:
    if isinstance(first, bytes):
        return "application/octet-stream"
    if first is None or isinstance(first, str):
        return "text/plain; charset=utf-8"
    return "application/x-ndjson"


def _chunk(item: Any, dump: Callable[[Any], bytes]) -> bytes:
    if isinstance(item, bytes):
        return item
    return item.encode() if isinstance(item, str) else dump(item) + b"\n"


def _event(item: Any, dump: Callable[[Any], bytes]) -> bytes:
    if isinstance(item, bytes):
        return item  # already an event, as the predictor wrote it
    text = item if isinstance(item, str) else dump(item).decode()
    return "".join(f"data: {line}\n" for line in text.splitlines() or [""]).encode() + b"\n"
