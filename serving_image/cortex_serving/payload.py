"""A request's body to the ``payload`` that ``predict`` gets, by content type (cortex.md 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon
import orjson


def read_payload(request: falcon.Request) -> Any:
    """The payload of a request.

    Raises:
        falcon.HTTPError: The body is not what its content type says.
    """
    content_type = (request.content_type or "").lower()
    body = read_body(request.env)
    if content_type.startswith("application/json"):
        return parse_json(body)
    return body


def read_body(environ: Mapping[str, Any]) -> bytes:
    """The whole body; the server has already kept it within its limit."""
    body: bytes = environ["wsgi.input"].read()
    return body


def parse_json(body: bytes) -> Any:
    """JSON text to a value. NaN and Infinity are not JSON.

    Raises:
        falcon.HTTPBadRequest: It is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise falcon.HTTPBadRequest(description=f"the body is not valid JSON: {error}") from error
