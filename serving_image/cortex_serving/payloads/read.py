"""Reads the ``payload`` of ``predict`` from a request's body, by content type (cortex.md 1.2)."""

from __future__ import annotations

import io
from typing import Any

import falcon
import orjson

from cortex_serving.payloads.charsets import decode
from cortex_serving.payloads.content_encoding import decode_body
from cortex_serving.payloads.forms import UploadFile, parse_multipart, parse_urlencoded
from cortex_serving.payloads.validation import PayloadType
from cortex_serving.payloads.value_memory import SMALL, ValueMemory
from cortex_serving.spec import BodyLimits


def read_payload(
    request: falcon.Request, limits: BodyLimits, expected: PayloadType | None, *, text: bool = False
) -> Any:
    """Read the payload of a request.

    Args:
        request: The request.
        limits: What the body may take.
        expected: Type of the payload if ``predict`` has a type hint that is enforced.
        text: Whether a body of plain text becomes text: that of a ``Handler``, as since Cortex 0.25.

    Returns:
        The value of a JSON body, ``FormData``, or bytes (text); a value of the expected type if there is one.

    Raises:
        falcon.HTTPError: The body does not match its headers, or its values would take too much memory.
        FormError: The body is not the form that its headers announce.
        InvalidPayload: The payload does not have the expected type.
    """
    environ = request.env
    if "HTTP_CONTENT_ENCODING" in environ:
        decode_body(environ, limits.size)
    content_type = environ.get("CONTENT_TYPE", "").lower()
    if content_type.startswith("application/json"):
        value = _parse_json(environ["wsgi.input"].read(), limits.built, checked=expected is not None)
        return value if expected is None else expected.validate(value)
    memory = ValueMemory(limits.built)
    if content_type.startswith("multipart/form"):
        form = parse_multipart(request, memory)
    elif content_type.startswith("application/x-www-form-urlencoded"):
        form = parse_urlencoded(environ["wsgi.input"].read(), memory)
    elif expected is None:
        body: bytes = environ["wsgi.input"].read()
        return _text(body, request) if text and content_type.startswith("text/plain") else body
    elif expected.takes_file:
        return expected.validate_file(
            UploadFile(io.BytesIO(environ["wsgi.input"].read()), "", environ.get("CONTENT_TYPE", "")), memory
        )
    else:
        raise falcon.HTTPUnsupportedMediaType(description="send the payload as application/json, or as a form")
    return form if expected is None else expected.validate_form(form, memory)


def _text(body: bytes, request: falcon.Request) -> str:
    try:
        return decode(body, request.content_type or "")
    except (LookupError, UnicodeDecodeError) as error:
        raise falcon.HTTPBadRequest(description=f"the body is not text in its charset: {error}") from error


def _parse_json(body: bytes, most: int, *, checked: bool) -> Any:
    """Parse JSON text. NaN and Infinity are not JSON (RFC 8259)."""
    if len(body) > SMALL:
        ValueMemory(most).take_json(body, checked=checked)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise falcon.HTTPBadRequest(description=f"the body is not valid JSON: {error}") from error
