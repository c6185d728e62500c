"""What ``predict`` returned to an HTTP response (cortex.md 1.3)."""

from __future__ import annotations

import json
from typing import Any

import falcon
import orjson

from cortex_serving.errors import UnsupportedResult
from cortex_serving.results.headers import Values, pairs_of, set_headers, set_status
from cortex_serving.results.json_values import plain, rewritten
from cortex_serving.results.starlette import is_starlette, render_starlette
from cortex_serving.results.streams import is_stream, open_stream

_PLAIN_JSON = frozenset({dict, list})  # looked at first: it is what most predictors return
ALLOWED = "bytes, str, a Response, a generator, or something that can be written as JSON"


class Response:
    """A response with a status, headers and media type of the predictor's choice.

    Args:
        content: bytes, str, a value that is written as JSON, or a generator, whose items are sent as they come.
        status_code: HTTP status, 200 to 599.
        headers: Further headers; a list for several of one name (``Set-Cookie``).
        media_type: Content type; None takes the one that suits the content.
    """

    def __init__(
        self,
        content: Any = b"",
        status_code: int = 200,
        headers: Values | None = None,
        media_type: str | None = None,
    ) -> None:
        self.content = content
        self.status_code = status_code
        self.headers = dict(headers or {})
        self.media_type = media_type


def render(value: Any, response: falcon.Response) -> None:
    """Write a returned value into the response.

    Raises:
        UnsupportedResult: The value is of no type that can be sent.
    """
    if type(value) in _PLAIN_JSON:
        response.content_type = "application/json"
        response.data = dump_json(value)
    elif isinstance(value, Response):
        _render_own(value, response)
    elif isinstance(value, str):
        response.content_type = "text/plain; charset=utf-8"
        response.data = value.encode()
    elif isinstance(value, (bytes, bytearray, memoryview)):
        response.content_type = "application/octet-stream"
        response.data = bytes(value)
    elif is_starlette(value):
        render_starlette(value, response)
    elif is_stream(value):
        response.content_type, response.stream = open_stream(value, None, dump_json)
    else:
        response.content_type = "application/json"
        response.data = dump_json(value)


def _render_own(value: Response, response: falcon.Response) -> None:
    if is_stream(value.content):
        response.content_type, response.stream = open_stream(value.content, value.media_type, dump_json)
    else:
        render(value.content, response)
    if value.media_type:
        set_headers(response, [("content-type", value.media_type)])
    set_status(response, value.status_code)
    set_headers(response, pairs_of(value.headers))


def dump_json(value: Any) -> bytes:
    """A value as JSON; numpy arrays, dataclasses, pydantic models and what ``plain`` knows too, NaN as null.

    Raises:
        UnsupportedResult: It holds something that has no form in JSON.
    """
    try:
        return orjson.dumps(value, plain, orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        pass  # keys that are not strings are written like json.dumps does, at a price that only they pay
    try:
        return orjson.dumps(value, plain, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError:
        pass  # integers beyond 64 bits, and more than 254 levels
    try:
        return json.dumps(value, default=plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        pass  # these together with NaN or with keys of numpy, and half surrogates
    try:
        return json.dumps(rewritten(value), allow_nan=False, separators=(",", ":")).encode()
    except RecursionError:
        reason = "it contains itself, or is nested too deeply"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise UnsupportedResult(f"predict returned {type(value).__name__}: {reason}; it may return {ALLOWED}")
