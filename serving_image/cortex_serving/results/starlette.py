"""Accepts responses of starlette as results of ``predict``, files and streams included, without importing starlette."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from typing import Any

import falcon

from cortex_serving.results.headers import set_headers, set_status
from cortex_serving.results.streams import drive_coroutine, produce_first

# The scope that an ASGI application gets (https://asgi.readthedocs.io/en/latest/specs/www.html). From spec 2.4 on a
# response need not listen for the client's disconnection: sending fails.
_SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "method": "POST",
    "path": "/",
    "headers": [],
}

Message = dict[str, Any]


def is_starlette(value: Any) -> bool:
    """Return whether a value is a response of starlette or FastAPI."""
    return any(base.__module__ == "starlette.responses" and base.__name__ == "Response" for base in type(value).__mro__)


def render_starlette(value: Any, response: falcon.Response) -> None:
    """Write a response of starlette into Falcon's response.

    Args:
        value: starlette's response.
        response: Falcon's response.

    Raises:
        UnsupportedResult: The status or a header cannot be sent.
    """
    body = getattr(value, "body", None)
    if isinstance(body, (bytes, memoryview)) and value.background is None:
        _begin(response, value.status_code, value.raw_headers)
        response.data = bytes(body)
        return
    messages = drive_coroutine(lambda give: value(_SCOPE, _never, give))
    start = next(messages)
    _begin(response, start["status"], start["headers"])
    length = dict(start["headers"]).get(b"content-length")
    if length is not None:
        response.content_length = int(length)
    response.stream = produce_first(_bodies(messages))


def _begin(response: falcon.Response, status: Any, raw_headers: list[tuple[bytes, bytes]]) -> None:
    set_status(response, status)
    set_headers(response, ((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw_headers))


def _bodies(messages: Iterator[Message]) -> Generator[bytes, None, None]:
    try:
        for message in messages:
            yield bytes(message.get("body", b""))
    finally:
        messages.close()  # type: ignore[attr-defined]


async def _never() -> Message:
    """Receive from a client that sends nothing more."""
    await asyncio.Event().wait()
    return {}
