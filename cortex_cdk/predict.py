"""Sends one request to an API, and reads the answer while it comes."""

from __future__ import annotations

import http.client
import json
import mimetypes
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cortex_serving.contract import KEY_HEADER, REVISION_HEADER

from cortex_cdk.aws.cloud import is_loopback
from cortex_cdk.errors import PredictionError
from cortex_cdk.status.read_status import LIVE, ApiStatus

# Cortex waits as long; slow models are what this command is often tried on.
TIMEOUT_SECONDS = 600
CONTENT_TYPES = {".json": "application/json", ".txt": "text/plain; charset=utf-8"}
UNTRUSTED = (
    "it must show the certificate that ACM has for its listener (you need acm:GetCertificate); "
    "trust another authority with: SSL_CERT_FILE=FILE"
)
# Those that every machine knows, and no more: what a file is sent as must not depend on what is installed.
KNOWN_TYPES = mimetypes.MimeTypes()


MOST_AT_ONCE = 65_536
KEY_VARIABLE = "CORTEX_API_KEY"
"""Environment variable with the key that requests are sent with."""


@dataclass(frozen=True)
class Call:
    """What is sent to an API.

    Attributes:
        body: The request's body.
        headers: Its headers; of names that differ in case only, the last one counts.
        query: Names and values that are added to the URL.
        key: An API key, or a token; None takes the one in ``CORTEX_API_KEY``, if it is set.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str]] = ()
    key: str | None = field(default=None, repr=False)


class Answer:
    """An API's answer while it comes."""

    def __init__(self, api: ApiStatus, response: http.client.HTTPResponse) -> None:
        self._api = api
        self._response = response
        self.content_type: str = response.headers.get("Content-Type", "")

    @property
    def revision(self) -> str:
        """The revision of the replica that answers; empty where the answer names none."""
        return self._response.headers.get(REVISION_HEADER, "")

    @property
    def is_document(self) -> bool:
        """Whether the answer is one JSON document, of which a part is of no use."""
        return is_json(self.content_type)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, each part as soon as it has come.

        Raises:
            PredictionError: The answer broke off.
        """
        try:
            while chunk := self._response.read1(MOST_AT_ONCE):
                yield chunk
            # read1 takes an early end for the end.
            broken = "" if not self._response.length else f"{self._response.length} bytes are missing"
        except (http.client.HTTPException, OSError) as error:
            broken = "it had more to come" if isinstance(error, http.client.IncompleteRead) else str(error)
        if broken:
            raise PredictionError(
                f"the answer of {self._api.name} broke off: {broken}",
                hint=f"see the replica's side with: {_logs(self._api)}",
            )

    def whole(self) -> Prediction:
        """Read the whole body.

        Raises:
            PredictionError: The answer broke off.
        """
        return Prediction(self.content_type, b"".join(self.chunks()))


@dataclass(frozen=True)
class Prediction:
    """An API's whole answer.

    Attributes:
        content_type: The value of its ``Content-Type``.
        body: Its bytes.
    """

    content_type: str
    body: bytes

    def as_text(self) -> str:
        """Write the body for people: JSON is indented.

        Raises:
            UnicodeDecodeError: The body is no text.
        """
        if is_json(self.content_type):
            return json.dumps(json.loads(self.body), indent=2, ensure_ascii=False)
        return self.body.decode()


def is_json(content_type: str) -> bool:
    """Whether a content type is that of one JSON document. A stream of several documents has another type."""
    return content_type.partition(";")[0].strip().lower() == "application/json"


def content_type_of(suffix: str, body: bytes) -> str:
    """Choose the content type of a file.

    Args:
        suffix: The file's, with its dot; empty for standard input, which is JSON if it is text.
        body: The file's content.
    """
    if suffix in CONTENT_TYPES:
        return CONTENT_TYPES[suffix]
    if not suffix and _is_text(body):
        return "application/json"
    return KNOWN_TYPES.guess_type(f"file{suffix}")[0] or "application/octet-stream"


def _is_text(body: bytes) -> bool:
    try:
        return "\0" not in body.decode()
    except UnicodeDecodeError:
        return False


@contextmanager
def send(api: ApiStatus, call: Call, certificate: str | None = None, address: str | None = None) -> Iterator[Answer]:
    """Send a request. The answer can be read while the context is open.

    Args:
        api: Where to. An API must have a replica that serves; a splitter has none of its own, but its members may
            answer.
        call: What to send.
        certificate: What the endpoint must show, as PEM; None accepts whatever this machine trusts.
        address: The load balancer to connect to, whatever the endpoint's name leads to: a record needs time to spread,
            and none leads to the local cloud. None connects to the endpoint.

    Raises:
        PredictionError: No replica serves, the endpoint cannot be reached, or the answer is an error.
    """
    if api.status != LIVE and not (api.variants or api.replicas.up_to_date or api.replicas.stale):
        raise PredictionError(f"{api.name} is {api.status}: no replica can answer", hint=f"see why with: {_logs(api)}")
    endpoint = urllib.parse.urlsplit(api.endpoint)
    door = endpoint._replace(netloc=address or endpoint.netloc, query=urllib.parse.urlencode(call.query)).geturl()
    # The URL is made from a load balancer's address: http or https.
    headers = {"Host": endpoint.netloc, **call.headers}
    request = urllib.request.Request(door, data=call.body, headers=headers)  # noqa: S310
    key = call.key or os.environ.get(KEY_VARIABLE)
    if key and not any(name.lower() in ("authorization", KEY_HEADER.lower()) for name in call.headers):
        # Unredirected: where an answer leads is none of the key's business.
        request.add_unredirected_header("Authorization", f"Bearer {_checked(key)}")
    # An endpoint on this machine must not go through the user's proxy.
    opener = urllib.request.build_opener(*_proxy_handlers(door), _tls(endpoint.hostname or "", certificate))
    try:
        response = opener.open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        raise _refused(api, error) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise PredictionError(
            f"{api.endpoint} cannot be reached: {reason}",
            hint=UNTRUSTED if isinstance(reason, ssl.SSLCertVerificationError) else None,
        ) from error
    with response:
        yield Answer(api, response)


def _checked(key: str) -> str:
    """Return a key as a header may have it.

    Raises:
        PredictionError: It has characters that no key has. The error does not show it.
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise PredictionError(
            f"the API key has blanks, or characters that no key has: is {KEY_VARIABLE} what cortex key create printed?"
        )
    return key


def _refused(api: ApiStatus, error: urllib.error.HTTPError) -> PredictionError:
    text = error.read().decode(errors="replace").strip()
    # curl would not accept the certificate: it is for another name than the load balancer's own.
    description = "a GET of" if api.endpoint.startswith("https://") else "curl"
    return PredictionError(
        f"{api.name} answered {error.code} {error.reason}",
        hint=_hint(api, error.code, f"{description} {api.endpoint}"),
        details=[] if text.lower() == error.reason.lower() else text.splitlines(),
    )


def _hint(api: ApiStatus, status: int, description: str) -> str:
    if status >= 500:
        return f"see the replica's side with: {_logs(api)}"
    if status == 401:
        make = "make one with: cortex key create NAME (replicas know it within half a minute)"
        return f"give the key in {KEY_VARIABLE}; {make}"
    if status == 403:
        return "see which keys are good, and for what, with: cortex key list"
    return f"see what the API takes with: {description}"


def _logs(api: ApiStatus) -> str:
    """The command that shows the logs of whoever answers."""
    return ", ".join(f"cortex logs {variant.name}" for variant in api.variants) or f"cortex logs {api.name}"


class _NamedTls(ssl.SSLContext):
    """Asks for the certificate of one name, whatever host is connected to."""

    name = ""

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Begin TLS on a connection."""
        return super().wrap_socket(*arguments, **{**options, "server_hostname": self.name})


def _tls(name: str, certificate: str | None) -> urllib.request.HTTPSHandler:
    """The endpoint may have the load balancer's own name, and its certificate is for the user's domain.

    So it is not the name that is checked, but that it is the load balancer's certificate, which ACM has told. Whoever
    sets ``SSL_CERT_FILE`` (a proxy that looks into TLS) trusts that file, too.
    """
    context = _NamedTls(ssl.PROTOCOL_TLS_CLIENT)
    context.name = name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    if certificate:
        # It need not sign itself: whoever has signed it is not asked.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=certificate)
    if not certificate or os.environ.get("SSL_CERT_FILE"):
        context.load_default_certs()
    return urllib.request.HTTPSHandler(context=context)


def _proxy_handlers(url: str) -> list[urllib.request.ProxyHandler]:
    """None for the user's proxies; for an address of this machine one that stands in for them and goes past them."""
    return [urllib.request.ProxyHandler({})] if is_loopback(url) else []
