"""Reads an API call out of a request: the service, the operation, the parameters and the access key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qs

from botocore.exceptions import UnknownServiceError
from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Credential=<key>/<date>/<region>/<service>/aws4_request (Signature Version 4)
SCOPE = re.compile(r"(?P<key>[^/=\s]+)/\d{8}/[^/]*/(?P<service>[^/]+)/aws4_request")
PREFIXES = {"email": "ses", "monitoring": "cloudwatch", "tagging": "tag"}
"""Names of services in actions, where signatures have other ones (Service Authorization Reference)."""
LIST_MEMBER = re.compile(r"^(?P<name>\w+)(?:\.member)?\.\d+$")


@dataclass(frozen=True)
class ApiCall:
    """One call.

    Attributes:
        service: The service as actions name it, such as ``cloudwatch``.
        operation: The operation's name in the API, such as ``ListObjectsV2``.
        parameters: The parameters that name resources; for REST those of the path and the query string.
        headers: Headers by name in lower case.
        body: The body.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def action(self) -> str:
        """The action that policies name, where it is named as the operation."""
        return f"{self.service}:{self.operation}"

    def text(self, name: str) -> str:
        """Return a parameter as text; empty without it."""
        value = self.parameters.get(name)
        return value if isinstance(value, str) else ""


def access_key(environ: WSGIEnvironment) -> str:
    """Return the access key that a request is signed with; empty without one."""
    found = _scope(environ)
    return found["key"] if found else ""


def service(environ: WSGIEnvironment) -> str:
    """Return the service that a request is signed for; empty without one."""
    found = _scope(environ)
    return found["service"].lower() if found else ""


def read(environ: WSGIEnvironment) -> ApiCall:
    """Read the call of a signed request, whose body stays to be read again."""
    signed = service(environ)
    name, body = PREFIXES.get(signed, signed), _body(environ)
    headers = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    query = _values(environ.get("QUERY_STRING", ""))
    target = headers.get("x-amz-target")
    if target:
        return ApiCall(name, target.rpartition(".")[2], _object(body), headers, body)
    form = _values(body.decode("latin-1")) if "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", "") else {}
    operation = form.get("Action") or query.get("Action")
    if operation and name != "s3":
        return ApiCall(name, str(operation), {**query, **form}, headers, body)
    operation, path = _route(signed, environ)
    return ApiCall(name, operation, {**_object(body), **query, **path}, headers, body)


def _scope(environ: WSGIEnvironment) -> re.Match[str] | None:
    header: str = environ.get("HTTP_AUTHORIZATION", "")
    # In a URL that was signed, the slashes are escaped.
    return SCOPE.search(header or parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0])


def _body(environ: WSGIEnvironment) -> bytes:
    # waitress hands over a complete, seekable body.
    stream: BinaryIO = environ["wsgi.input"]
    body = stream.read()
    stream.seek(0)
    return body


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body) if body[:1] == b"{" else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _values(text: str) -> dict[str, Any]:
    """Return the parameters of a form or a query string; those of a list (``Names.member.1``) as a list."""
    found: dict[str, Any] = {}
    for name, values in parse_qs(text, keep_blank_values=True).items():
        member = LIST_MEMBER.match(name)
        if member:
            found.setdefault(member["name"], []).append(values[0])
        else:
            found[name] = values[0]
    return found


def _route(service: str, environ: WSGIEnvironment) -> tuple[str, dict[str, Any]]:
    """Return the operation and the parameters of a path, by the service's published API; else the method."""
    try:
        operation, parameters = _router(service).match(Request(environ, populate_request=False))
    except (UnknownServiceError, HTTPException, NotImplementedError):
        return str(environ["REQUEST_METHOD"]).capitalize(), {}
    return str(operation.name), parameters


@cache
def _router(service: str) -> Any:
    return get_service_router(service)
