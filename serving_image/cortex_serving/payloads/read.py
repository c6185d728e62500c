"""A request's body to the ``payload`` that ``predict`` gets, by content type (cortex.md 1.2)."""

from __future__ import annotations

from typing import Any

import falcon
import orjson

from cortex_serving.payloads.content_encoding import decode_body
from cortex_serving.payloads.forms import parse_multipart, parse_urlencoded
from cortex_serving.payloads.validation import PayloadType


def read_payload(request: falcon.Request, limit: int, expected: PayloadType | None) -> Any:
    """The payload of a request.

    Args:
        request: The request.
        limit: Most bytes of a body, after decompression.
        expected: Type that the payload must have, if the predictor says so.

    Raises:
        falcon.HTTPError: The body is not what its headers say.
        FormError: The same, for forms.
        InvalidPayload: It does not have the expected type.
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
        return environ["wsgi.input"].read()
    else:
        raise falcon.HTTPUnsupportedMediaType(description="send the payload as application/json, or as a form")
    return form if expected is None else expected.validate_form(form)


def parse_json(body: bytes) -> Any:
    """JSON text to a value. NaN and Infinity are not JSON.

    Raises:
        falcon.HTTPBadRequest: It is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise falcon.HTTPBadRequest(description=f"the body is not valid JSON: {error}") from error
