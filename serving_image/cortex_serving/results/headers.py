"""Checks statuses and headers that predictors choose, before any byte of a response is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from numbers import Number
from typing import Any

import falcon
from waitress.task import hop_by_hop

from cortex_serving.contract import API_HEADER, REQUEST_ID_HEADER, REVISION_HEADER
from cortex_serving.errors import UnsupportedResult

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.1
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, 5.5; HTTP libraries write Latin-1
# Headers of one connection (RFC 9110, 7.6.1), and headers that this program sets. Both are dropped silently, so that a
# predictor can pass on the headers of another server's answer.
_OURS = {header.lower() for header in (REQUEST_ID_HEADER, API_HEADER, REVISION_HEADER)}
_LEFT_OUT = hop_by_hop | _OURS | {"content-length"}

Values = Mapping[str, Any]
"""Headers by name; a list for several headers of one name."""


def set_status(response: falcon.Response, status: Any) -> None:
    """Set the status of a response.

    Raises:
        UnsupportedResult: The status is not one of a final response (200 to 599).
    """
    try:
        code = falcon.http_status_to_code(status)
    except (ValueError, TypeError):
        code = 0
    if not 200 <= code <= 599:
        raise UnsupportedResult(f"{status!r} is no HTTP status that a response can have: use one from 200 to 599")
    response.status = status


def by_name(headers: Values | Iterable[tuple[str, Any]] | None) -> dict[str, Any]:
    """Collect headers by name, several values of a name in a list.

    Args:
        headers: A mapping, or pairs of names and values, of which a dict would lose all but the last of a name.
    """
    if headers is None or isinstance(headers, Mapping):
        return dict(headers or {})
    found: dict[str, Any] = {}
    for name, value in headers:
        if name in found:
            found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), value]
        else:
            found[name] = value
    return found


def pairs_of(headers: Values) -> Iterator[tuple[str, Any]]:
    """Yield each header with each of its values."""
    for name, value in headers.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            yield name, one


def set_headers(response: falcon.Response, pairs: Iterable[tuple[str, Any]]) -> None:
    """Set headers of a response.

    Args:
        response: The response.
        pairs: Names and values; several values of one name are all sent.

    Raises:
        UnsupportedResult: A name or value cannot be sent.
    """
    given: set[str] = set()
    for name, value in [_checked(name, value) for name, value in pairs]:  # check all before setting the first one
        if name in _LEFT_OUT:
            continue
        if name in given or name == "set-cookie":
            response.append_header(name, value)
        else:
            given.add(name)
            response.set_header(name, value)


def _checked(name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise UnsupportedResult(f"{name!r} cannot be the name of a header: use letters, digits and dashes")
    name = name.lower()
    if isinstance(value, bool) or not isinstance(value, (str, Number)):
        raise UnsupportedResult(f"header {name} cannot have the value {value!r}: use text or a number")
    value = str(value)
    if _VALUE.fullmatch(value) is None:
        raise UnsupportedResult(f"header {name} cannot have the value {value!r}: use one line of Latin-1 characters")
    return name, value
