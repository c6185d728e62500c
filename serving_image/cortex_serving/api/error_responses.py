"""Turns exceptions into HTTP responses: those of this program, of Falcon, of starlette, and of predictors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import falcon
import orjson

from cortex_serving.access.refusals import AccessRefused
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
    response: falcon.Response, error: BaseException, request_id: str, log: Callable[[str], None], describe: Describe
) -> None:
    """Turn an exception into a response (cortex.md 1.3).

    Args:
        response: The response to write.
        error: The exception.
        request_id: The request's id, by which the client can have the reason found in the logs.
        log: Logs details, which only the API's owner should see.
        describe: Words the exception with its traceback.
    """
    try:
        if _written(response, error, request_id):
            return
        log(str(error) if isinstance(error, UnsupportedResult) else describe(error))
    except UnsupportedResult as unsupported:
        log(f"{unsupported}\n{describe(error)}")
    response.status = 500
    _json(response, _said("internal server error", request_id))


def error_event(error: BaseException, request_id: str) -> bytes:
    """Word an exception in the middle of server-sent events as the last event (``event: error``).

    Args:
        error: The exception.
        request_id: The request's id.
    """
    reason = (error.description or error.title) if isinstance(error, falcon.HTTPError) else "internal server error"
    # The blank line ends an event that the predictor has begun; where none has begun, it means nothing.
    return b"\n\nevent: error\ndata: " + orjson.dumps(_said(reason, request_id)) + b"\n\n"


def _said(reason: str | None, request_id: str) -> dict[str, str | None]:
    """Word an error of the API itself."""
    return {"error": reason, "request_id": request_id}


def _written(response: falcon.Response, error: BaseException, request_id: str) -> bool:
    """Write an exception that defines its response, and return True; return False for any other exception.

    Raises:
        UnsupportedResult: The exception's status or headers cannot be sent.
    """
    if isinstance(error, falcon.HTTPError):
        _begin(response, error.status, error.headers)
        reason = error.description or error.title
        own = isinstance(error, falcon.HTTPInternalServerError | AccessRefused)
        _json(response, _said(reason, request_id) if own else {"error": reason})
    elif isinstance(error, falcon.HTTPStatus):
        _begin(response, error.status, error.headers)
        response.text, response.data, response.stream = error.text, None, None
    elif isinstance(error, InvalidPayload):
        response.status = 422
        _json(response, {"error": error.args[0], "problems": error.problems})
    elif isinstance(error, FormError):
        response.status = 400
        _json(response, {"error": str(error)})
    elif _is_starlette_http(error):
        _begin(response, error.status_code, getattr(error, "headers", None))  # type: ignore[attr-defined]
        _text(response, str(error.detail))  # type: ignore[attr-defined]
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


def _text(response: falcon.Response, text: str) -> None:
    response.content_type = "text/plain; charset=utf-8"
    response.data = text.encode()
    response.stream = None
