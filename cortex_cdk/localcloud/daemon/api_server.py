"""Answers the AWS API: moto's WSGI application behind a guard, and doors of our own.

A request passes, in order: the guard against web pages, our doors (health, faults, task metadata), the permissions of
the caller, moto. A request that may have changed something calls ``changed``: the state is stored, and the reconciler
looks again.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import parse_qs

from cortex_cdk.localcloud.aws_errors import failure
from cortex_cdk.localcloud.daemon.fault_door import FaultDoor
from cortex_cdk.localcloud.daemon.outages import Outages
from cortex_cdk.localcloud.endpoint import FAULTS_PATH, HEALTH_PATH, NONCE, DaemonInfo
from cortex_cdk.localcloud.services.iam.authorization import denial
from cortex_cdk.localcloud.settings import REGION
from cortex_cdk.localcloud.state_lock import STATE_LOCK

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

METADATA_PATH = re.compile(r"^/v4/([^/]+)(/task)?$")
# No DNS server of somebody else can make a browser resolve other names to these.
OWN_HOST = re.compile(r"^(127\.0\.0\.1|\[::1\]|([a-z0-9.-]+\.)?localhost)(:\d+)?$", re.IGNORECASE)
# Credential=<key>/<date>/<region>/<service>/aws4_request (Signature Version 4): moto reads the region from here.
SIGNED_REGION = re.compile(r"(Credential=[^/]*/\d{8}/)[^/]+/")
SIGNATURE = "AWS4-HMAC-SHA256"
NO_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
"""Characters that no XML document may have, in UTF-8."""
READING = re.compile(r"^(Describe|List|Get|BatchGet|Filter|Lookup|Head|Validate|Estimate|Test|Query|Select)")
STEADY = ("PutLogEvents", "PutMetricData")
"""Actions that replicas call all the time. They wake nobody, and are stored with the next regular snapshot."""
TARGET_ACTION = re.compile(r"^[^.]+\.(?:.*\.)?([A-Za-z]+)$")


class MetadataSource(Protocol):
    """What the API server asks of the reconciler."""

    def metadata(self, task_id: str) -> dict[str, Any] | None:
        """Return the metadata of a task (task metadata endpoint, version 4); None if there is no such task."""


class ApiServer:
    """The WSGI application of the control port.

    Args:
        info: The answer of the health door.
        tasks: Gives task metadata.
        outages: The services that answer nothing but errors.
        changed: Is called after a request that may have changed the state.
        problem: Tells what is wrong now, for every command to show.
    """

    def __init__(
        self,
        info: DaemonInfo,
        tasks: MetadataSource,
        outages: Outages,
        changed: Callable[[], None],
        problem: Callable[[], str | None],
    ) -> None:
        self._info = info
        self._tasks = tasks
        self._outages = outages
        self._problem = problem
        self._faults = FaultDoor(outages, changed)
        self._changed = changed
        self._moto = moto_application()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        refusal = refuse(environ)
        if refusal:
            return _json(start_response, "403 Forbidden", {"message": refusal})
        path = environ.get("PATH_INFO", "")
        own = self._own_door(path, environ, start_response)
        return self._aws(environ, start_response) if own is None else own

    def _own_door(self, path: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes] | None:
        if path == HEALTH_PATH:
            nonce = parse_qs(environ.get("QUERY_STRING", "")).get(NONCE, [""])[0]
            notice = "; ".join(filter(None, (self._info.notice, self._problem())))
            return _json(start_response, "200 OK", replace(self._info, notice=notice or None).health(nonce))
        if path == FAULTS_PATH:
            return _json(start_response, *self._faults.answer(environ))
        metadata = METADATA_PATH.match(path)
        if metadata:
            return self._task_metadata(start_response, metadata[1], whole_task=bool(metadata[2]))
        if path.startswith("/moto-api"):
            return _json(start_response, "404 Not Found", {"message": "moto's own API is switched off."})
        return None

    def _task_metadata(self, start_response: StartResponse, task_id: str, *, whole_task: bool) -> Iterable[bytes]:
        with STATE_LOCK:
            task = self._tasks.metadata(task_id)
        if task is None:
            return _json(start_response, "404 Not Found", {"message": f"There is no task {task_id}."})
        return _json(start_response, "200 OK", task if whole_task else (task.get("Containers") or [task])[0])

    def _aws(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        action = action_of(environ)
        if not is_signed(environ):
            # moto also reads the caller from other headers, in more forms than any AWS tool sends.
            said = f"Only requests signed with {SIGNATURE} are answered: use an AWS SDK or tool, with any credentials."
            return _failure(environ, start_response, "403 Forbidden", "MissingAuthenticationToken", said)
        if outage := self._outages.strikes(environ):
            return _failure(environ, start_response, "503 Service Unavailable", *outage)
        if "HTTP_AUTHORIZATION" in environ:
            # There is one region, whatever region the user's AWS tools are configured for.
            environ["HTTP_AUTHORIZATION"] = SIGNED_REGION.sub(rf"\g<1>{REGION}/", environ["HTTP_AUTHORIZATION"])
        try:
            with STATE_LOCK:
                denied = denial(environ)
                if denied:
                    return _failure(environ, start_response, denied.status, denied.code, denied.message)
                answer = self._moto(environ, start_response)
        except NotImplementedError:
            # Not 500: AWS tools would try again.
            said = f"The local cloud does not know the action {action}."
            return _failure(environ, start_response, "501 Not Implemented", "NotImplemented", said)
        except Exception as error:
            logger.exception("The local cloud could not answer %s.", action)
            said = f"The local cloud could not answer {action}: {type(error).__name__}: {error}"
            return _failure(environ, start_response, "500 Internal Server Error", "InternalFailure", said)
        if not READING.match(action) and action not in STEADY:
            self._changed()
        return [as_xml(b"".join(answer))] if _is_form(environ) else answer


def moto_application() -> WSGIApplication:
    """Return moto's application for all services."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    application: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    return application


def refuse(environ: WSGIEnvironment) -> str | None:
    """Return why a request is refused; None if the request is not.

    Any credentials will do on 127.0.0.1, so a page in the user's browser must not get through: neither with a host name
    that resolves to 127.0.0.1 (DNS rebinding), nor by a request across origins. Browsers mark a request across origins
    with ``Origin`` or ``Sec-Fetch-Site`` (Fetch Metadata Request Headers, W3C); AWS SDKs send neither.
    """
    if not OWN_HOST.match(environ.get("HTTP_HOST", "")):
        return "The local cloud answers only to 127.0.0.1 and localhost."
    if "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin"):
        return "The local cloud does not answer web pages."
    return None


def is_signed(environ: WSGIEnvironment) -> bool:
    """Return whether a request says, in a header or in its URL, that it is signed with Signature Version 4.

    Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API reference.
    """
    header = environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        return bool(header.startswith(f"{SIGNATURE} "))
    return parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Algorithm") == [SIGNATURE]


def action_of(environ: WSGIEnvironment) -> str:
    """Return the AWS action of a request, or the HTTP method for services without actions (S3; ``Get`` for ``GET``)."""
    target = TARGET_ACTION.match(environ.get("HTTP_X_AMZ_TARGET", ""))
    if target:
        return target[1]
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        return "Get"
    return _form_action(environ) if _is_form(environ) else str(environ["REQUEST_METHOD"])


def as_xml(body: bytes) -> bytes:
    """Return an answer in XML without the characters that XML cannot hold, of which a client reads nothing at all.

    A predictor may put them into the message that becomes the reason of an event. Source: XML 1.0, 2.2 "Characters".

    Args:
        body: The answer in UTF-8. The result has the same length.
    """
    return NO_XML.sub(lambda found: b"?" * len(found[0]), body)


def _is_form(environ: WSGIEnvironment) -> bool:
    """Return whether a request is one of the query protocol, which is answered in XML."""
    return bool(environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"))


def _form_action(environ: WSGIEnvironment) -> str:
    # waitress hands over a complete, seekable body: moto can read the same bytes again.
    body: BinaryIO = environ["wsgi.input"]
    start = body.read(256)
    body.seek(0)
    return parse_qs(start.decode("latin-1")).get("Action", ["POST"])[0]


def _json(start_response: StartResponse, status: str, content: dict[str, Any]) -> Iterable[bytes]:
    return _text(start_response, status, json.dumps(content), "application/json")


def _failure(
    environ: WSGIEnvironment, start_response: StartResponse, status: str, code: str, message: str
) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] == "HEAD":  # has no body
        return _text(start_response, status, "", "text/xml")
    content_type, text = failure(environ, code, message)
    if "xml" in content_type:
        text = as_xml(text.encode()).decode()
    return _text(start_response, status, text, content_type)


def _text(start_response: StartResponse, status: str, text: str, content_type: str) -> Iterable[bytes]:
    body = text.encode()
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]
