"""Turns exceptions into HTTP responses: those of this program, of Falcon, of starlette, and of predictors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import falcon
import orjson

from cortex_serving.errors import UnsupportedResult
from cortex_serving.payloads.forms import FormError
from cortex_serving.payloads.validation import InvalidPayload
from cortex_serving.results.headers import pairs_of, set_headers, set_status

RETRY_AFTER_SECONDS = "1"
Describe = Callable[[BaseException], str]


def unavailable(reason: str) -> falcon.HTTPServiceUnavailable:
    """Return a 503 that tells the client why, and when to try again."""
    return falcon.HTTPServiceUnavailable(description=reason, headers={"Retry-After": RETRY_AFTER_SECONDS})


def write_error(
    response: falcon.Response, error: BaseException, log: Callable[[str], None], describe: Describe
) -> None:
    """Turn an exception into a response (cortex.md 1.3).

    Args:
        response: The response to write.
        error: The exception.
        log: Logs details, which only the API's owner should see.
        describe: Words the exception with its traceback.
    """
    try:
        if _written(response, error):
            return
        log(str(error) if isinstance(error, UnsupportedResult) else describe(error))
    except UnsupportedResult as unsupported:
        log(f"{unsupported}\n{describe(error)}")
    _text(response, 500, "internal server error")


def _written(response: falcon.Response, error: BaseException) -> bool:
    """Write an exception that defines its response, and return True; return False for any other exception.

    Raises:
        UnsupportedResult: The exception's status or headers cannot be sent.
    """
    if isinstance(error, falcon.HTTPError):
        _begin(response, error.status, error.headers)
        _json(response, {"error": error.description or error.title})
    elif isinstance(error, falcon.HTTPStatus):
        _begin(response, error.status, error.headers)
        response.text, response.data, response.stream = error.text, None, None
    elif isinstance(error, InvalidPayload):
        response.status = 422
        _json(response, {"error": error.args[0], "problems": error.problems})
    elif isinstance(error, FormError):
        _text(response, 400, str(error))
    elif _is_starlette_http(error):
        _begin(response, error.status_code, getattr(error, "headers", None))  # type: ignore[attr-defined]
        _text(response, int(error.status_code), str(error.detail))  # type: ignore[attr-defined]
    else:
        return False
    return True


def _begin(response: falcon.Response, status: Any, headers: Any) -> None:
    set_status(response, status)
    set_headers(response, pairs_of(headers) if isinstance(headers, Mapping) else headers or [])


def _is_starlette_http(error: BaseException) -> bool:
    """Return whether an exception is the HTTPException of starlette or FastAPI, without importing either."""
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
