"""Turns the value that ``predict`` returned into an HTTP response (cortex.md 1.3)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import falcon
import orjson

from cortex_serving.errors import UnsupportedResult
from cortex_serving.results.headers import Values, by_name, pairs_of, set_headers, set_status
from cortex_serving.results.json_values import OPTIONS, check_keys, convert_tree, for_json, for_orjson
from cortex_serving.results.starlette import is_starlette, render_starlette
from cortex_serving.results.streams import is_stream, open_stream

# How orjson writes numpy's NaT: of nanoseconds, and of minutes to weeks. It refuses that of other units.
_NAT_OF_ORJSON = (b"1677-09-21T00:12:43.145224", b"1970-01-01T00:00:00")
_MIDNIGHT = b"1T00:"  # in both: one look at each answer, for nearly all
_PLAIN_JSON = frozenset({dict, list})  # checked first, because most predictors return them
ALLOWED = "bytes, str, a Response, a generator, or something that can be written as JSON"


class Response:
    """A response whose status, headers and media type the predictor chooses.

    Args:
        content: bytes, str, a value that is written as JSON, or a generator, whose items are sent at once.
        status_code: HTTP status, 200 to 599.
        headers: Further headers, by name or as pairs; a list for several values of one name (``Set-Cookie``).
        media_type: Content type; None chooses by the content.
    """

    def __init__(
        self,
        content: Any = b"",
        status_code: int = 200,
        headers: Values | Iterable[tuple[str, Any]] | None = None,
        media_type: str | None = None,
    ) -> None:
        self.content = content
        self.status_code = status_code
        self.headers = by_name(headers)
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
    """Write a value as JSON: also numpy arrays, dataclasses, pydantic models and all that ``for_orjson`` knows.

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
        written = orjson.dumps(value, for_orjson, OPTIONS)
        return _dump_slowly(value) if _MIDNIGHT in written and _may_hold_nat(written) else written
    except TypeError:
        pass  # the value has keys that are not strings, or something that orjson cannot write
    try:
        check_keys(value)
        written = orjson.dumps(value, for_orjson, OPTIONS | orjson.OPT_NON_STR_KEYS)
        return _dump_slowly(value) if _MIDNIGHT in written and _may_hold_nat(written) else written
    except (TypeError, RecursionError):
        pass  # the value has integers beyond 64 bits, or more than 254 levels
    return _dump_slowly(value)


def _may_hold_nat(written: bytes) -> bool:
    """Whether a date in JSON text may be a missing one of numpy's, which only a slow writer writes as null."""
    return "numpy" in sys.modules and any(missing in written for missing in _NAT_OF_ORJSON)


def _dump_slowly(value: Any) -> bytes:
    try:
        check_keys(value)
        return json.dumps(value, default=for_json, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        pass  # the value also has NaN or keys of numpy's types, or half surrogates
    try:
        check_keys(value)
        return json.dumps(convert_tree(value), allow_nan=False, separators=(",", ":")).encode()
    except RecursionError:
        reason = "it contains itself, or is nested too deeply"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise UnsupportedResult(f"predict returned {type(value).__name__}: {reason}; it may return {ALLOWED}", reason)
