"""What is said of an API that cannot be reached, or that answers with an error."""

from __future__ import annotations

import http
import json
import shlex
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cortex_serving.contract import API_HEADER, REQUEST_ID_HEADER

from cortex_cdk.errors import (
    AccessDeniedError,
    ApiFailedError,
    PayloadError,
    PredictionError,
    UnavailableError,
)
from cortex_cdk.predict.content_types import is_json
from cortex_cdk.status.read_status import ApiStatus

UNTRUSTED = (
    "it must show the certificate that ACM has for its listener (you need acm:GetCertificate); "
    "trust another authority with: SSL_CERT_FILE=FILE"
)
# Fields of an answer of the serving program itself that are worded otherwise.
_OWN = ("error", "request_id", "problems")
_KINDS: Mapping[int, type[PredictionError]] = {
    400: PayloadError,
    401: AccessDeniedError,
    403: AccessDeniedError,
    413: PayloadError,
    415: PayloadError,
    422: PayloadError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def unreachable_now(api: ApiStatus) -> UnavailableError:
    """The error of an API that has no replica to answer."""
    return UnavailableError(f"{api.name} is {api.status}: no replica can answer", hint=f"see why with: {_logs(api)}")


def unreachable(api: ApiStatus, error: Exception) -> UnavailableError:
    """The error of an endpoint that nobody answers at.

    Args:
        api: The API.
        error: What httpx raised.
    """
    import httpx

    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return UnavailableError(
            f"{api.name} did not answer in time", hint=f"wait longer (timeout), or see what it does: {_logs(api)}"
        )
    reason = _first_cause(error)
    hint = UNTRUSTED if isinstance(reason, ssl.SSLCertVerificationError) else None
    return UnavailableError(f"{api.endpoint} cannot be reached: {str(reason) or type(reason).__name__}", hint=hint)


def broke_off(api: ApiStatus, error: Exception, headers: Mapping[str, str]) -> UnavailableError:
    """The error of an answer that ended too early.

    Args:
        api: The API.
        error: What httpx raised.
        headers: The headers of the answer.
    """
    reason = str(error) or type(error).__name__
    return UnavailableError(f"the answer of {api.name} broke off: {reason}", hint=replicas_side(api, headers))


def replicas_side(api: ApiStatus, headers: Mapping[str, str]) -> str:
    """Where to see what a replica says of a request.

    Args:
        api: The API.
        headers: The headers of its answer.
    """
    command = _logs(api)
    if (name := headers.get(API_HEADER.lower())) and (request_id := headers.get(REQUEST_ID_HEADER.lower())):
        command = f"cortex logs {name} --request-id {shlex.quote(request_id)}"
    return f"see the replica's side with: {command}"


def refused(api: ApiStatus, status: int, headers: Mapping[str, str], body: bytes) -> PredictionError:
    """The error of an answer that is no success.

    Args:
        api: The API.
        status: The answer's HTTP status.
        headers: Its headers.
        body: Its body.
    """
    reason = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else ""
    text = body.decode(errors="replace").strip()
    value = None
    if is_json(headers.get("content-type", "")):
        with suppress(ValueError):
            value = json.loads(body)
    kind = _KINDS.get(status, ApiFailedError if status >= 500 else PredictionError)
    problems = _problems(value)
    said = _said(value, reason)
    as_sent = [] if text.lower() == reason.lower() else text.splitlines()
    return kind(
        f"{api.name} answered {status} {reason}".rstrip(),
        hint=_hint(api, status, headers),
        details=problems or (as_sent if said is None else said),
        sent=problems or as_sent,
        status=status,
        answer=text if value is None else value,
        request_id=headers.get(REQUEST_ID_HEADER.lower()),
        answered_by=headers.get(API_HEADER.lower()),
    )


def _problems(answer: Any) -> list[str]:
    """Word a replica's list of wrong fields, one in a line; nothing for other answers."""
    problems = answer.get("problems") if isinstance(answer, dict) else None
    if not isinstance(problems, list) or not all(isinstance(each, dict) for each in problems):
        return []
    return [f"{each.get('field')}: {each.get('problem')}" for each in problems]


def _said(answer: Any, reason: str) -> list[str] | None:
    """Word a JSON answer for people: its message, and whatever else it says; None for other answers."""
    if not isinstance(answer, dict | list):
        return None
    message = answer.get("error") if isinstance(answer, dict) else None
    rest = {key: value for key, value in answer.items() if key not in _OWN} if isinstance(answer, dict) else answer
    if not isinstance(message, str):
        rest, message = answer, ""
    # Of an internal error, the reason says as much, and the hint names the request.
    lines = [] if message.lower() == reason.lower() else message.splitlines()
    return [*lines, *(json.dumps(rest, indent=2, ensure_ascii=False).splitlines() if rest else [])]


def schema_hint(name: str) -> str:
    """Where to see what an API takes."""
    return f"see what it takes with: cortex predict {name} --schema"


def _hint(api: ApiStatus, status: int, headers: Mapping[str, str]) -> str:
    if status >= 500:
        return replicas_side(api, headers)
    if status == 401:
        make = "make one with: cortex key create NAME (replicas know it within half a minute)"
        return f"give the key in CORTEX_API_KEY; {make}"
    if status == 403:
        return "see which keys are good, and for what, with: cortex key list"
    if status < 400 and "location" in headers:
        return f"the answer is at {headers['location']}"
    return schema_hint(api.name)


def _first_cause(error: BaseException) -> BaseException:
    """What the operating system or TLS said, below the wrappings of httpx."""
    seen: Any = error
    while seen is not None:
        if isinstance(seen, OSError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return error


def _logs(api: ApiStatus) -> str:
    """The command that shows the logs of whoever answers."""
    return ", ".join(f"cortex logs {variant.name}" for variant in api.variants) or f"cortex logs {api.name}"
