"""Streams responses: each item that ``predict`` yields is sent at once."""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any

EVENT_STREAM = "text/event-stream"
_LINE_END = re.compile(r"\r\n|\r|\n")  # of event streams; str.splitlines splits at more, and drops the last one
_END: Any = object()

Give = Callable[[Any], Awaitable[None]]
"""Hands an item over; returns when the next item is wanted."""


def is_stream(value: Any) -> bool:
    """Return whether a value is produced piece by piece: an iterator or generator, asynchronous or not."""
    return hasattr(value, "__next__") or hasattr(value, "__aiter__")


def open_stream(items: Any, media_type: str | None, dump: Callable[[Any], bytes]) -> tuple[str, Iterator[bytes]]:
    """Begin a streamed response.

    Args:
        items: The iterator, asynchronous or not.
        media_type: The predictor's choice; ``text/event-stream`` makes every item an event. None chooses by the first
            item.
        dump: Writes a value as JSON.

    Returns:
        The content type, and the chunks of the body. The first chunk has been produced already.
    """
    iterator: Iterator[Any] = drive_async(items) if hasattr(items, "__aiter__") else _in_own_context(items)
    first = next(iterator, _END)
    if media_type is None:
        media_type = _media_type(first)
    write = _event if media_type.lower().startswith(EVENT_STREAM) else _chunk
    return media_type, produce_first(_written(first, iterator, lambda item: write(item, dump)))


def _in_own_context(items: Iterator[Any]) -> Iterator[Any]:
    """Iterate in one context of ``contextvars`` from the first to the last step, whichever threads take the steps.

    So what a generator sets (``decimal.localcontext``, ``numpy.errstate``) stays its own between two steps.
    """
    run = contextvars.copy_context().run
    try:
        while (item := run(next, items, _END)) is not _END:
            yield item
    finally:
        if hasattr(items, "close"):  # iterators that are not generators may have no close
            run(items.close)


def produce_first(chunks: Generator[bytes, None, None]) -> Iterator[bytes]:
    """Produce a stream's first bytes now, so that an exception before them becomes a proper error response.

    Args:
        chunks: The stream.

    Returns:
        The same stream, the first bytes included.
    """
    first = next(filter(None, chunks), b"")
    return _from(first, chunks)


def _from(first: bytes, rest: Generator[bytes, None, None]) -> Iterator[bytes]:
    try:
        yield first
        yield from rest
    finally:
        rest.close()


def drive_async(items: AsyncIterable[Any]) -> Iterator[Any]:
    """Iterate over an asynchronous iterator on the calling thread."""

    async def produce(give: Give) -> None:
        iterator = aiter(items)
        try:
            async for item in iterator:
                await give(item)
        finally:
            if hasattr(iterator, "aclose"):
                await iterator.aclose()

    return drive_coroutine(produce)


def drive_coroutine(produce: Callable[[Give], Coroutine[Any, Any, None]]) -> Iterator[Any]:
    """Run a coroutine that hands items over, and iterate over the items.

    The coroutine runs on the iterating thread, only while that thread waits for an item, and as one task of an event
    loop that lives as long as the iteration: timeouts, task groups and context variables need one task.

    Args:
        produce: The coroutine function. Its argument hands an item over, and returns when the next one is wanted.
    """
    loop = asyncio.new_event_loop()
    ready: deque[tuple[Any, asyncio.Future[None]]] = deque()
    changed = asyncio.Event()
    wanted = True

    async def give(item: Any) -> None:
        if not wanted:
            raise OSError("the client has gone")
        taken = loop.create_future()
        ready.append((item, taken))
        changed.set()
        await taken

    task = loop.create_task(produce(give))
    task.add_done_callback(lambda _: changed.set())
    try:
        while not task.done():
            loop.run_until_complete(changed.wait())
            changed.clear()
            while ready:
                item, taken = ready.popleft()
                yield item
                taken.set_result(None)
        task.result()
    finally:
        wanted = False
        task.cancel()
        _close(loop)
        if not task.cancelled():
            task.result()  # raises what a generator raises that is closed early


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the tasks that still run on a loop, and close the loop."""
    try:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        _wait(loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        _wait(loop)  # the loop closes generators that were dropped meanwhile in tasks of their own
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def _wait(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_until_complete(asyncio.sleep(0))
    if tasks := asyncio.all_tasks(loop):
        loop.run_until_complete(asyncio.wait(tasks))


def _written(first: Any, rest: Iterator[Any], write: Callable[[Any], bytes]) -> Generator[bytes, None, None]:
    try:
        if first is not _END:
            yield write(first)
        for item in rest:
            yield write(item)
    finally:  # if the client has gone, end the predictor's generator now, on this thread
        if hasattr(rest, "close"):  # iterators that are not generators may have no close
            rest.close()


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
    """Write an item as an event. Each line of the item is a ``data`` line: clients join them again.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """
    if isinstance(item, bytes):
        return item  # the predictor has written the event itself
    text = item if isinstance(item, str) else dump(item).decode()
    return "".join(f"data: {line}\n" for line in _LINE_END.split(text)).encode() + b"\n"
