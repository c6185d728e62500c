"""starlette's responses as results of ``predict``, without importing starlette: files and streams, too."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from typing import Any

import falcon

from cortex_serving.results.headers import set_headers, set_status
from cortex_serving.results.streams import begun, given

# What a response is called with (https://asgi.readthedocs.io/en/latest/specs/www.html); since 2.4 responses
# need not listen for a client that goes: sending fails then.
_SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "method": "POST",
    "path": "/",
    "headers": [],
}

Message = dict[str, Any]


def is_starlette(value: Any) -> bool:
    """Whether a returned value is a response of starlette's, or of FastAPI's."""
    return any(base.__module__ == "starlette.responses" and base.__name__ == "Response" for base in type(value).__mro__)


def render_starlette(value: Any, response: falcon.Response) -> None:
    """Write a response of starlette's into ours."""
    body = getattr(value, "body", None)
    if isinstance(body, (bytes, memoryview)) and value.background is None:
        _begin(response, value.status_code, value.raw_headers)
        response.data = bytes(body)
        return
    messages = given(lambda give: value(_SCOPE, _never, give))
    start = next(messages)
    _begin(response, start["status"], start["headers"])
    length = dict(start["headers"]).get(b"content-length")
    if length is not None:
        response.content_length = int(length)
    response.stream = begun(_bodies(messages))


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
    """A client that sends nothing more."""
    await asyncio.Event().wait()
    return {}
