"""Turns the value that ``predict`` returned into an HTTP response (cortex.md 1.3)."""

from __future__ import annotations

import json
from typing import Any

import falcon
import orjson

from cortex_serving.errors import UnsupportedResult
from cortex_serving.results.headers import Values, pairs_of, set_headers, set_status
from cortex_serving.results.json_values import convert_tree, convert_value
from cortex_serving.results.starlette import is_starlette, render_starlette
from cortex_serving.results.streams import is_stream, open_stream

_PLAIN_JSON = frozenset({dict, list})  # checked first, because most predictors return them
ALLOWED = "bytes, str, a Response, a generator, or something that can be written as JSON"


class Response:
    """A response whose status, headers and media type the predictor chooses.

    Args:
        content: bytes, str, a value that is written as JSON, or a generator, whose items are sent at once.
        status_code: HTTP status, 200 to 599.
        headers: Further headers; a list for several of one name (``Set-Cookie``).
        media_type: Content type; None chooses by the content.
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
    """Write a returned value into Falcon's response.

    Args:
        value: The value that ``predict`` returned.
        response: The response.

    Raises:
        UnsupportedResult: The value cannot be sent.
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
    """Write a value as JSON: also numpy arrays, dataclasses, pydantic models and all that ``convert_value`` knows.

    NaN and infinities become null. Four writers are tried, the fastest first: values that only a slow one can write are
    rare, and only they pay for it.

    Args:
        value: The value.

    Returns:
        The JSON text, in UTF-8.

    Raises:
        UnsupportedResult: Something in the value has no form in JSON.
    """
    try:
        return orjson.dumps(value, convert_value, orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        pass  # the value has keys that are not strings
    try:
        return orjson.dumps(value, convert_value, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError:
        pass  # the value has integers beyond 64 bits, or more than 254 levels
    try:
        return json.dumps(
            value, default=convert_value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except (TypeError, ValueError, RecursionError):
        pass  # the value also has NaN or keys of numpy's types, or half surrogates
    try:
        return json.dumps(convert_tree(value), allow_nan=False, separators=(",", ":")).encode()
    except RecursionError:
        reason = "it contains itself, or is nested too deeply"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise UnsupportedResult(f"predict returned {type(value).__name__}: {reason}; it may return {ALLOWED}")
