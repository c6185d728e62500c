"""Generators as responses: what ``predict`` yields is sent as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterable, Callable, Iterator
from typing import Any

EVENT_STREAM = "text/event-stream"
_LINE_END = re.compile(r"\r\n|\r|\n")  # of event streams; str.splitlines knows more, and forgets the last one
_END: Any = object()


def is_stream(value: Any) -> bool:
    """Whether a returned value is produced piece by piece (a generator or another iterator, asynchronous or not)."""
    return hasattr(value, "__next__") or hasattr(value, "__aiter__")


def open_stream(items: Any, media_type: str | None, dump: Callable[[Any], bytes]) -> tuple[str, Iterator[bytes]]:
    """Content type and chunks of a streamed response.

    Args:
        items: What ``predict`` yields.
        media_type: The predictor's choice; ``text/event-stream`` makes every item an event. None goes by
            the first item.
        dump: Writes a value as JSON.
    """
    iterator: Iterator[Any] = in_turn(items) if hasattr(items, "__aiter__") else items
    first = next(iterator, _END)
    if media_type is None:
        media_type = _media_type(first)
    write = _event if media_type.lower().startswith(EVENT_STREAM) else _chunk
    return media_type, begun(_written(first, iterator, lambda item: write(item, dump)))


def begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A stream whose first bytes were produced already: an error before them still becomes a proper response."""
    first = next(filter(None, chunks), b"")
    return _from(first, chunks)


def _from(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def in_turn(items: AsyncIterable[Any]) -> Iterator[Any]:
    """What an asynchronous iterator yields, on an event loop that lives as long as the iteration.

    All of it runs on the thread that iterates, and only while that waits for the next item.
    """
    loop = asyncio.new_event_loop()
    try:
        iterator = aiter(items)
        try:
            while (item := loop.run_until_complete(_next(iterator))) is not _END:
                yield item
        finally:
            if hasattr(iterator, "aclose"):
                loop.run_until_complete(iterator.aclose())
    finally:
        _close(loop)


async def _next(iterator: Any) -> Any:
    return await anext(iterator, _END)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """End what still runs on a loop, and the loop."""
    try:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        _wait(loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        _wait(loop)  # for generators that were dropped meanwhile, which the loop closes in tasks
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def _wait(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_until_complete(asyncio.sleep(0))
    if tasks := asyncio.all_tasks(loop):
        loop.run_until_complete(asyncio.wait(tasks))


def _written(first: Any, rest: Iterator[Any], write: Callable[[Any], bytes]) -> Iterator[bytes]:
    try:
        if first is not _END:
            yield write(first)
        for item in rest:
            yield write(item)
    finally:  # a client that has gone ends the predictor's generator now, on this thread
        with contextlib.suppress(AttributeError):  # not every iterator can be closed
            rest.close()  # type: ignore[attr-defined]


def _media_type(first: Any) -> str:
    if isinstance(first, bytes):
        return "application/octet-stream"
    if first is _END or isinstance(first, str):
        return "text/plain; charset=utf-8"
    return "application/x-ndjson"


def _chunk(item: Any, dump: Callable[[Any], bytes]) -> bytes:
    if isinstance(item, bytes):
        return item
    return item.encode() if isinstance(item, str) else dump(item) + b"\n"


def _event(item: Any, dump: Callable[[Any], bytes]) -> bytes:
    """An event whose data is the item: clients join its lines again, so a line end in it is another line here.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """
    if isinstance(item, bytes):
        return item  # already an event, as the predictor wrote it
    text = item if isinstance(item, str) else dump(item).decode()
    return "".join(f"data: {line}\n" for line in _LINE_END.split(text)).encode() + b"\n"
