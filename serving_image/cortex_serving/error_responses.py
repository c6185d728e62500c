"""Exceptions to HTTP responses: ours, Falcon's, starlette's, and whatever a predictor raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import falcon
import orjson

from cortex_serving.forms import FormError
from cortex_serving.response import UnsupportedResult
from cortex_serving.typed import InvalidPayload

RETRY_AFTER_SECONDS = "1"
Describe = Callable[[BaseException], str]


def unavailable(reason: str) -> falcon.HTTPServiceUnavailable:
    """A 503 that says why, and when to come again."""
    return falcon.HTTPServiceUnavailable(description=reason, headers={"Retry-After": RETRY_AFTER_SECONDS})


def write_error(
    response: falcon.Response, error: BaseException, log: Callable[[str], None], describe: Describe
) -> None:
    """Answer an exception (cortex.md 1.3).

    Args:
        response: Where the answer goes.
        error: What was raised.
        log: Logs what only the API's owner should see.
        describe: The error with its traceback, as text.
    """
    if isinstance(error, falcon.HTTPError):
        response.status = error.status
        if error.headers:
            response.set_headers(error.headers)
        _json(response, {"error": error.description or error.title})
    elif isinstance(error, InvalidPayload):
        response.status = 422
        _json(response, {"error": str(error), "problems": error.problems})
    elif isinstance(error, FormError):
        _text(response, 400, str(error))
    elif _is_starlette_http(error):
        response.set_headers(getattr(error, "headers", None) or {})
        _text(response, int(error.status_code), str(error.detail))  # type: ignore[attr-defined]
    else:
        log(str(error) if isinstance(error, UnsupportedResult) else describe(error))
        _text(response, 500, "internal server error")


def _is_starlette_http(error: BaseException) -> bool:
    """starlette's and FastAPI's HTTPException, without importing either."""
    return any(base.__name__ == "HTTPException" and hasattr(error, "detail") for base in type(error).__mro__)


def _json(response: falcon.Response, value: Any) -> None:
    response.content_type = "application/json"
    response.data = orjson.dumps(value)
    response.stream = None


def _text(response: falcon.Response, status: int, text: str) -> None:
    response.status = status
    response.content_type = "text/plain; charset=utf-8"
    response.data = text.encode()
    response.stream = None
