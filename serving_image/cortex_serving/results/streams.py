"""Generators as responses: what ``predict`` yields is sent as it comes."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any

EVENT_STREAM = "text/event-stream"
_LINE_END = re.compile(r"\r\n|\r|\n")  # of event streams; str.splitlines knows more, and forgets the last one
_END: Any = object()

Give = Callable[[Any], Awaitable[None]]
"""Hands an item over, and returns when the next one is wanted."""


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


def begun(chunks: Generator[bytes, None, None]) -> Iterator[bytes]:
    """A stream whose first bytes were produced already: an error before them still becomes a proper response."""
    first = next(filter(None, chunks), b"")
    return _from(first, chunks)


def _from(first: bytes, rest: Generator[bytes, None, None]) -> Iterator[bytes]:
    try:
        yield first
        yield from rest
    finally:
        rest.close()


def in_turn(items: AsyncIterable[Any]) -> Iterator[Any]:
    """What an asynchronous iterator yields."""

    async def produce(give: Give) -> None:
        iterator = aiter(items)
        try:
            async for item in iterator:
                await give(item)
        finally:
            if hasattr(iterator, "aclose"):
                await iterator.aclose()

    return given(produce)


def given(produce: Callable[[Give], Coroutine[Any, Any, None]]) -> Iterator[Any]:
    """What a coroutine gives, on an event loop that lives as long as the iteration.

    All of it runs on the thread that iterates, and only while that waits for the next item; and in one task, as
    timeouts, task groups and context variables need it.

    Args:
        produce: The coroutine. What it gives is taken at once, and it goes on when the next item is wanted.
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
            task.result()  # what a generator raises that is closed early


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


def _written(first: Any, rest: Iterator[Any], write: Callable[[Any], bytes]) -> Generator[bytes, None, None]:
    try:
        if first is not _END:
            yield write(first)
        for item in rest:
            yield write(item)
    finally:  # a client that has gone ends the predictor's generator now, on this thread
        if hasattr(rest, "close"):  # not every iterator can be closed
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
    """An event whose data is the item: clients join its lines again, so a line end in it is another line here.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """
    if isinstance(item, bytes):
        return item  # already an event, as the predictor wrote it
    text = item if isinstance(item, str) else dump(item).decode()
    return "".join(f"data: {line}\n" for line in _LINE_END.split(text)).encode() + b"\n"
