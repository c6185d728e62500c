"""Reads the ``payload`` of ``predict`` from a request's body, by content type (cortex.md 1.2)."""

from __future__ import annotations

from typing import Any

import falcon
import orjson

from cortex_serving.payloads.content_encoding import decode_body
from cortex_serving.payloads.forms import parse_multipart, parse_urlencoded
from cortex_serving.payloads.validation import PayloadType


def read_payload(request: falcon.Request, limit: int, expected: PayloadType | None, *, text: bool = False) -> Any:
    """Read the payload of a request.

    Args:
        request: The request.
        limit: Largest size of the body, in bytes after decompression.
        expected: Type of the payload if ``predict`` has a type hint that is enforced.
        text: Whether a body of plain text becomes text: that of a ``Handler``, as since Cortex 0.25.

    Returns:
        The value of a JSON body, ``FormData``, or bytes (text); a value of the expected type if there is one.

    Raises:
        falcon.HTTPError: The body does not match its headers.
        FormError: The body is not the form that its headers announce.
        InvalidPayload: The payload does not have the expected type.
    """
    environ = request.env
    if "HTTP_CONTENT_ENCODING" in environ:
        decode_body(environ, limit)
    content_type = environ.get("CONTENT_TYPE", "").lower()
    if content_type.startswith("application/json"):
        value = parse_json(environ["wsgi.input"].read())
        return value if expected is None else expected.validate(value)
    if content_type.startswith("multipart/form"):
        form = parse_multipart(request)
    elif content_type.startswith("application/x-www-form-urlencoded"):
        form = parse_urlencoded(environ["wsgi.input"].read())
    elif expected is None:
        body: bytes = environ["wsgi.input"].read()
        return _text(body, request) if text and content_type.startswith("text/plain") else body
    else:
        raise falcon.HTTPUnsupportedMediaType(description="send the payload as application/json, or as a form")
    return form if expected is None else expected.validate_form(form)


def _text(body: bytes, request: falcon.Request) -> str:
    _, options = falcon.parse_header(request.content_type or "")
    try:
        return body.decode(options.get("charset", "utf-8"))
    except (LookupError, UnicodeDecodeError) as error:
        raise falcon.HTTPBadRequest(description=f"the body is not text in its charset: {error}") from error


def parse_json(body: bytes) -> Any:
    """Parse JSON text. NaN and Infinity are not JSON (RFC 8259).

    Args:
        body: The text, in UTF-8.

    Raises:
        falcon.HTTPBadRequest: The text is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise falcon.HTTPBadRequest(description=f"the body is not valid JSON: {error}") from error
